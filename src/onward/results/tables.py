"""Tables of methods: each method on each data set, and methods that were trained in exactly the same way."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pandas import DataFrame

from onward.core import Task, TrainerSettings
from onward.data import title_of
from onward.recipes import RECIPES, Published, Recipe, control, find
from onward.results.markdown import markdown
from onward.runs.controls import equal
from onward.runs.records import Record, Records, Row, foreign_result, on_same_images
from onward.screen import in_percent

Printed = Mapping[str, Mapping[str, float]]
"""By method and image set, the published test accuracy."""
Costs = Mapping[str, Mapping[str, Any]]
"""Step costs by method: the rows of `results/benchmarks/methods.json`."""

_KNOWN = {recipe.name: recipe for recipe in RECIPES}
_CONTROLS = ("Backprop", "DeepSupervision")
_COST_COLUMNS = {"memory": "memory_of_backprop", "operations": "operations_of_backprop", "step": "step_of_backprop"}
_OVERVIEW = (
    "Each cell is test % / published % / backprop % on the same network and budget; of several recipes the one that is",
    "best on its validation split. A recipe without a published number of its own, and a set without a run, have the",
    "method's highest one, on whatever network. `locality`: how far the gradient of an objective reaches in the rows,",
    "measured on their networks; `docs/concepts.md` defines the words. Backprop's reaches all.",
)
_COSTS = (
    "Weights, and peak memory, counted operations and time of a training step as a fraction of backprop's on the same",
    "network, all in one run: of the row that `results/benchmarks/methods.json` names, on MNIST where there is a short",
    "one, and its machine.",
)
_SHARED = (
    "Every row of a table has the same network, images, augmentation, epochs, batches, optimizer and learning rate;",
    "the rate of a method's own read-out may differ. `views`: as how many images each one is read, where mirrored or",
    "shifted ones count too. Test % and backprop %, the mean of their seeds. Backprop trains with the method's input",
    "and handoffs and is read as it is, at a learning rate of its own. Rows of one seed that are a few tenths of a",
    "point apart are in no order.",
)


def control_of(row: Row, records: Records) -> list[Record]:
    """Return the records of a row's control by backprop on the same images, by their checksums, and budget.

    If the control of the row's own name was not trained, any control of the same network and training is used.
    """
    run = records[row][0]
    if run.method in _CONTROLS:
        return []
    wanted = control(find(row.recipe, _KNOWN) or run.recipe, "backprop")
    named = records.get(Row(wanted.name, row.data))
    if named is not None:
        same = [each for each in named if each.recipe.budget() == run.recipe.budget()]
        return [each for each in same if on_same_images(each.result, run.result)]
    if wanted.budget() != run.recipe.budget():
        return []
    others = (
        runs_of for other, runs_of in records.items() if other.data == row.data and runs_of[0].method == "Backprop"
    )
    fitting = (each for each in others if equal(each[0].recipe, wanted))
    return next((each for each in fitting if on_same_images(each[0].result, run.result)), [])


def published_of(run: Record) -> Published | None:
    """Return the published number for a record of its images: that of its recipe today, or else of the record."""
    if foreign_result(run.recipe, run.result):
        return None
    return _KNOWN.get(run.recipe.name, run.recipe).published


def printed() -> dict[str, dict[str, float]]:
    """Return the published numbers of all recipes; of several of a method on the same images, the highest."""
    numbers: dict[str, dict[str, float]] = defaultdict(dict)
    for recipe in RECIPES:
        if recipe.published:
            of = numbers[type(recipe.algorithm).__name__]
            of[recipe.data.name] = max(recipe.published.test_accuracy, of.get(recipe.data.name, 0.0))
    return numbers


def overview(records: Records, costs: Costs | None = None, published: Printed | None = None) -> list[str]:
    """Return the lines of a table with a row per method and a column per image set; none without a local method.

    With `costs` there are also columns for weights, memory and time. With `published`, methods and sets that were not
    run have those numbers.
    """
    numbers, rows = published or {}, _rows(records)
    best = {(row["method"], row["data"]): row["row"] for row in _best(rows, ["method", "data"]).to_dict("records")}
    if not {method for method, _ in best}:
        return []
    methods = sorted({*(method for method, _ in best), *(numbers.keys() - {*_CONTROLS})})
    columns = sorted({*(data for _, data in best), *(data for method in methods for data in numbers.get(method, ()))})
    texts: dict[str, list[str]] = {"method": [f"`{method}`" for method in methods]}
    texts["locality"] = [
        _locality([records[row] for (of, _), row in best.items() if of == method]) for method in methods
    ]
    for data in columns:
        texts[title_of(data)] = [
            _cell(best.get((method, data)), records, numbers.get(method, {}).get(data)) for method in methods
        ]
    if costs:
        cells = [_cost_cells(costs.get(method)) for method in methods]
        texts |= {
            name: list(each) for name, each in zip(("weights", *_COST_COLUMNS), zip(*cells, strict=True), strict=True)
        }
    return ["## Methods", "", *_OVERVIEW, *(_COSTS if costs else ()), "", *markdown(DataFrame(texts))]


def best_rows(records: Records, data: str) -> list[str]:
    """Return the lines of a short table: each local method's row of a data set that is best on its validation split.

    `data` is the name of a public set. The column `images` names which of its images a row was trained on: rows of
    other images cannot be compared, so that those of the standard split come first, and then those of each copy.
    """
    rows = _rows(records).query("set == @data")
    rows = rows.assign(copy=["" if name == data else name for name in rows["data"]])
    best = _best(rows, ["copy", "method"]).sort_values(["copy", "test"], ascending=[True, False], kind="stable")
    if best.empty:
        return []
    named = [copy.partition(", ")[2] if copy else "standard split" for copy in best["copy"]]
    shown = _shown(best, records, without="–").assign(images=named)
    return markdown(shown.reindex(columns=["images", "method", "locality", "test %", "seeds", "backprop %", "recipe"]))


def shared(records: Records) -> list[str]:
    """Return the lines of the tables of three or more methods that differ in nothing but the method."""
    rows = _rows(records)
    rows = rows.query("method != 'Backprop'")
    same = [(row.data, *_but_method(records[row][0].recipe)) for row in rows["row"]]
    lines = []
    for group in sorted(
        (rows.loc[indices] for indices in _alike(same, rows.index)), key=lambda group: group["data"].iloc[0]
    ):
        if len({*group["method"]} - {*_CONTROLS}) < 3:
            continue
        first = records[group["row"].iloc[0]][0].recipe
        title = f"{title_of(group['data'].iloc[0])}, {type(first.net).__name__}, {first.epochs} epochs:"
        best_first = group.sort_values("test", ascending=False, kind="stable")
        shown = _shown(best_first, records)
        views = [str(_views(records[row][0].recipe.algorithm)) for row in best_first["row"]]
        shown.insert(2, "views", views)
        lines += ["", title, "", *markdown(shown)]
    return ["## The same training", "", *_SHARED, *lines] if lines else []


def _rows(records: Records) -> DataFrame:
    """Return a row for each recipe on its images: method, set by name, and the seeds' means as fractions."""
    texts = [
        (row, row.data, runs[0].method, runs[0].recipe.data.name, _test(runs), _validation(runs))
        for row, runs in records.items()
    ]
    return DataFrame(texts, columns=["row", "data", "method", "set", "test", "validation"])


def _best(rows: DataFrame, by: list[str]) -> DataFrame:
    """Return of each group of local methods' rows the one that is best on its validation split, the first of equals."""
    local = rows[~rows["method"].isin(_CONTROLS)]
    return local.loc[local.groupby(by, sort=False)["validation"].idxmax()]


def _alike(values: Sequence[object], indices: Iterable[int]) -> list[list[int]]:
    """Return the indices of equal values in groups, in order of first appearance."""
    groups: dict[object, list[int]] = defaultdict(list)
    for value, index in zip(values, indices, strict=True):
        groups[value].append(index)
    return list(groups.values())


def _shown(rows: DataFrame, records: Records, *, without: str = "") -> DataFrame:
    """Return rows as texts; `without` is the text where backprop was not trained."""
    controls = [control_of(row, records) for row in rows["row"]]
    return DataFrame(
        {
            "method": [f"`{method}`" for method in rows["method"]],
            "locality": [records[row][0].locality for row in rows["row"]],
            "test %": [
                in_percent(_task(records[row]), test) for row, test in zip(rows["row"], rows["test"], strict=True)
            ],
            "seeds": [str(len(records[row])) for row in rows["row"]],
            "backprop %": [in_percent(_task(of), _test(of)) if of else without for of in controls],
            "recipe": [f"`{row.recipe}`" for row in rows["row"]],
        }
    )


def _but_method(recipe: Recipe) -> tuple[Any, ...]:
    """Return the settings of a training without its method and the method's read-out."""
    same = replace(recipe.trainer, adamw_lr_scale=TrainerSettings.adamw_lr_scale)
    return recipe.net, recipe.data, recipe.epochs, recipe.batch_size, same


def _views(algorithm: Any) -> int:
    """Return as how many images an algorithm reads one."""
    own = getattr(algorithm, "of", algorithm)
    return (2 if getattr(own, "mirrored", False) else 1) * (5 if getattr(own, "shifted", 0) else 1)


def _cell(row: Row | None, records: Records, known: float | None) -> str:
    if row is None:
        return f"– / {in_percent(None, known)} / –" if known else ""
    runs, control = records[row], control_of(row, records)
    published = published_of(runs[0])
    met = published.test_accuracy if published else known
    numbers = (_test(runs), met, _test(control) if control else None)
    return " / ".join("–" if number is None else in_percent(_task(runs), number) for number in numbers)


def _locality(rows: Sequence[Sequence[Record]]) -> str:
    """Write how far the gradient reaches in some rows; where they differ, each of the words once."""
    return " / ".join(sorted({runs[0].locality for runs in rows if runs[0].locality}))


def _cost_cells(cost: Mapping[str, Any] | None) -> list[str]:
    if cost is None:
        return [""] * (1 + len(_COST_COLUMNS))
    return [f"{cost['parameters_M']:.2f} M", *[f"{cost[name]:.2f}" for name in _COST_COLUMNS.values()]]


def _validation(runs: Sequence[Record]) -> float:
    return statistics.fmean(run.result.validation_accuracy for run in runs)


def _test(runs: Sequence[Record]) -> float:
    return statistics.fmean(run.accuracy for run in runs)


def _task(runs: Sequence[Record]) -> Task:
    return runs[0].result.task_or_default
