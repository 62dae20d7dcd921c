"""Recipes as rows: accuracy over seeds, training cost and the gap to backprop."""

from collections.abc import Mapping

from pandas import DataFrame

from onward.results.statistics import bounds, difference, estimate
from onward.results.tables import control_of
from onward.runs.records import Records, Row


def summary(records: Records, operations: Mapping[Row, int] | None = None) -> DataFrame:
    """Return one row for each recipe on its images: mean and 95 % interval over seeds, cost, and backprop.

    `low` and `high` are missing with one seed; `operations` where they were not counted; `gap`, its accuracy above
    backprop at equal seeds, where backprop was not trained on the same budget.
    """
    return DataFrame([_row(row, records, (operations or {}).get(row)) for row in records])


def _row(row: Row, records: Records, operations: int | None) -> dict[str, object]:
    runs, control = records[row], control_of(row, records)
    accuracies, task = [run.accuracy for run in runs], runs[0].result.task_or_default
    mean, ends = estimate(accuracies), bounds(accuracies, task)
    ours, theirs = ({run.recipe.seed: run.accuracy for run in each} for each in (runs, control))
    gap = difference(ours, theirs)
    return {
        "recipe": row.recipe,
        "data": row.data,
        "method": runs[0].method,
        "locality": runs[0].locality,
        "task": task,
        "accuracy": mean.mean,
        "low": None if ends is None else ends[0],
        "high": None if ends is None else ends[1],
        "seeds": mean.seeds,
        "gap": None if gap is None else gap.mean,
        "parameters": runs[0].result.parameters,
        "operations": operations,
    }
