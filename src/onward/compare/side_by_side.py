"""Finished runs side by side: the results of each recipe, a row each."""

import statistics
from collections.abc import Sequence
from pathlib import Path

import pandas

from onward.compare.comparable import check_same_images
from onward.compare.study import by_recipe, differences, labels_of
from onward.core.metrics import measure_key
from onward.recipes import Recipe
from onward.runs.finished import Run, open_run
from onward.runs.localities import in_words
from onward.runs.result import mean_metrics


def compare(*runs: Run | Path | str) -> pandas.DataFrame:
    """Put finished runs side by side, a row for each recipe; runs that differ in their seed alone share one.

    Read from the runs, nothing is computed: `onward report` adds noise, memory, time, energy and figures. Accuracies
    are fractions, means over the seeds. Runs of numbers have `test_r2` in their place, those of several labels
    `test_exact_match`; newer runs have further metrics too, such as `balanced_accuracy`. Raises ValueError for what is
    no finished run, for a run named twice, and for runs on different images.
    """
    if not runs:
        raise ValueError("no run named: give runs, or the paths of their folders")
    opened = [_opened(run) for run in runs]
    groups = by_recipe(opened)
    recipes = [group[0].recipe for group in groups]
    check_same_images(recipes)
    first = opened[0]
    for run in opened:
        if run.result.data_checksum != first.result.data_checksum:
            raise ValueError(f"{run.path} was trained on other images than {first.path}: compare runs on the same ones")
    labels = labels_of(recipes)
    return pandas.DataFrame([_row(group, recipes[0], label) for group, label in zip(groups, labels, strict=True)])


def _opened(run: object) -> Run:
    if isinstance(run, Run):
        return run
    if not isinstance(run, str | Path):
        raise ValueError(f"a run is a {type(run).__name__}: give what train returned, or the path of a run's folder")
    return open_run(Path(run))


def _row(runs: Sequence[Run], first: Recipe, label: str) -> dict[str, object]:
    recipe, result = runs[0].recipe, runs[0].result
    test = [run.test_accuracy for run in runs]
    measure = measure_key(result.task_or_default)
    return {
        "label": label,
        "recipe": recipe.name,
        "method": type(recipe.algorithm).__name__,
        "locality": result.locality or in_words(recipe),
        "seeds": len(runs),
        f"test_{measure}": statistics.mean(test),
        "deviation": statistics.stdev(test) if len(test) > 1 else None,
        **mean_metrics([run.result for run in runs]),
        f"validation_{measure}": statistics.mean(run.result.validation_accuracy for run in runs),
        "parameters": result.parameters,
        "epochs": recipe.epochs,
        "train_seconds": statistics.mean(run.result.train_seconds for run in runs),
        "differs": "; ".join(differences(recipe, first)),
    }
