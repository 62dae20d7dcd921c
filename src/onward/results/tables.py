"""Tables of methods: each method on each data set, and methods that were trained in exactly the same way."""

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from onward.core import TrainerSettings
from onward.recipes import RECIPES, Published, Recipe, control, find
from onward.runs.controls import equal
from onward.runs.records import Record, Records, Row, foreign_result

Printed = Mapping[str, Mapping[str, float]]
"""By method and image set, the published test accuracy."""
Costs = Mapping[str, Mapping[str, Any]]
"""By method, what a step of it costs: the rows of `results/benchmarks/methods.json`."""

_KNOWN = {recipe.name: recipe for recipe in RECIPES}
_CONTROLS = ("Backprop", "DeepSupervision")
_OVERVIEW = (
    "Each cell is test % / published % / backprop % on the same network and budget; of several recipes the one that is",
    "best on its validation split. A recipe without a published number of its own, and a set without a run, have the",
    "method's highest one, on whatever network. `locality`: how far the gradient of an objective reaches in the rows,",
    "measured on their networks; `docs/concepts.md` says what the words mean. Backprop's reaches all.",
)
_COSTS = (
    "Weights, and peak memory and time of a training step as a fraction of backprop's on the same network, both in one",
    "run: of the short row on MNIST that `results/benchmarks/methods.json` names, with its machine.",
)
_SHARED = (
    "Every row of a table has the same network, images, augmentation, epochs, batches, optimizer and learning rate;",
    "the rate of a method's own read-out may differ. Test %, the seeds' mean. Backprop trains with the method's input",
    "and handoffs, at a learning rate of its own.",
)


def control_of(row: Row, records: Records) -> list[Record]:
    """Return the records of a row's control by backprop on the same images and budget.

    Where that of its own name was not trained, another row's is as good if it trains the same network in the same way.
    """
    run = records[row][0]
    if run.method in _CONTROLS:
        return []
    wanted = control(find(row.recipe, _KNOWN) or run.recipe, "backprop")
    named = records.get(Row(wanted.name, row.data))
    if named is not None:
        return [found for found in named if found.recipe.budget() == run.recipe.budget()]
    if wanted.budget() != run.recipe.budget():
        return []
    others = (found for other, found in records.items() if other.data == row.data and found[0].method == "Backprop")
    return next((found for found in others if equal(found[0].recipe, wanted)), [])


def published_of(run: Record) -> Published | None:
    """Return the number that a record of its images has to meet: what its recipe says today, or else the record."""
    if foreign_result(run.recipe, run.result):
        return None
    return _KNOWN.get(run.recipe.name, run.recipe).published


def printed() -> dict[str, dict[str, float]]:
    """Return the published numbers of all recipes; of several of a method on the same images, the highest."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for recipe in RECIPES:
        if recipe.published:
            of = found[type(recipe.algorithm).__name__]
            of[recipe.data.name] = max(recipe.published.test_accuracy, of.get(recipe.data.name, 0.0))
    return found


def overview(records: Records, costs: Costs | None = None, published: Printed | None = None) -> list[str]:
    """Return the lines of a table with a row per method and a column per image set; none without a local method.

    With `costs` there are also columns for weights, memory and time. With `published`, methods and sets that were not
    run have those numbers.
    """
    best: dict[str, dict[str, Row]] = defaultdict(dict)
    for row, runs in records.items():
        known = best[runs[0].method].get(row.data)
        if known is None or _validation(runs) > _validation(records[known]):
            best[runs[0].method][row.data] = row
    if not best.keys() - {*_CONTROLS}:
        return []
    numbers: Printed = published or {}
    methods = sorted((best.keys() | numbers.keys()) - {*_CONTROLS})
    columns = sorted({data for method in methods for data in (*best.get(method, ()), *numbers.get(method, ()))})
    head = ["locality", *columns, *(["weights", "memory", "step"] if costs else [])]
    lines = ["## Methods", "", *_OVERVIEW, *(_COSTS if costs else ()), "", *_head("method", head)]
    for method in methods:
        cells = [_cell(best[method].get(data), records, numbers.get(method, {}).get(data)) for data in columns]
        reach = _locality([records[row] for row in best[method].values()])
        lines.append(_line(f"`{method}`", [reach, *cells] + (_cost_cells(costs.get(method)) if costs else [])))
    return lines


def best_rows(records: Records, data: str) -> list[str]:
    """Return the lines of a short table: each local method's row of a data set that is best on its validation split.

    `data` is the name of a public set; `images` in the table says which of its images the row was trained on.
    """
    best: dict[str, Row] = {}
    for row, runs in records.items():
        method = runs[0].method
        if runs[0].recipe.data.name != data or method in _CONTROLS:
            continue
        if method not in best or _validation(runs) > _validation(records[best[method]]):
            best[method] = row
    rows = sorted(best.values(), key=lambda row: -_test(records[row]))
    head = ["locality", "test %", "backprop %", "images", "recipe"]
    return [*_head("method", head), *(_short_row(row, records) for row in rows)] if rows else []


def shared(records: Records) -> list[str]:
    """Return the lines of the tables of three or more methods that differ in nothing but the method."""
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row, runs in records.items():
        if runs[0].method != "Backprop":
            groups[(row.data, *_but_method(runs[0].recipe))].append(row)
    lines = []
    for rows in sorted(groups.values(), key=lambda rows: rows[0].data):
        if len({records[row][0].method for row in rows} - {*_CONTROLS}) < 3:
            continue
        first = records[rows[0]][0].recipe
        title = f"{rows[0].data}, {type(first.net).__name__}, {first.epochs} epochs:"
        lines += ["", title, "", *_head("method", ["locality", "test %", "backprop %", "recipe"])]
        lines += [_row(row, records) for row in sorted(rows, key=lambda row: -_test(records[row]))]
    return ["## The same training", "", *_SHARED, *lines] if lines else []


def _row(row: Row, records: Records) -> str:
    control = control_of(row, records)
    beside = _percent(_test(control)) if control else ""
    runs = records[row]
    return _line(f"`{runs[0].method}`", [runs[0].locality, _percent(_test(runs)), beside, f"`{row.recipe}`"])


def _short_row(row: Row, records: Records) -> str:
    runs, control = records[row], control_of(row, records)
    beside = _percent(_test(control)) if control else "–"
    images = "standard split" if row.data == runs[0].recipe.data.name else row.data.partition(", ")[2]
    return _line(f"`{runs[0].method}`", [runs[0].locality, _percent(_test(runs)), beside, images, f"`{row.recipe}`"])


def _but_method(recipe: Recipe) -> tuple[Any, ...]:
    """Return all of a training but its method and what a method needs for its own read-out."""
    same = replace(recipe.trainer, adamw_lr_scale=TrainerSettings.adamw_lr_scale)
    return recipe.net, recipe.data, recipe.epochs, recipe.batch_size, same


def _cell(row: Row | None, records: Records, known: float | None) -> str:
    if row is None:
        return f"– / {_percent(known)} / –" if known else ""
    runs, control = records[row], control_of(row, records)
    published = published_of(runs[0])
    met = published.test_accuracy if published else known
    numbers = (_test(runs), met, _test(control) if control else None)
    return " / ".join("–" if number is None else _percent(number) for number in numbers)


def _locality(rows: Sequence[Sequence[Record]]) -> str:
    """Write how far the gradient reaches in some rows; where they differ, each of the words once."""
    return " / ".join(sorted({runs[0].locality for runs in rows if runs[0].locality}))


def _cost_cells(cost: Mapping[str, Any] | None) -> list[str]:
    if cost is None:
        return ["", "", ""]
    return [f"{cost['parameters_M']:.2f} M", f"{cost['memory_of_backprop']:.2f}", f"{cost['step_of_backprop']:.2f}"]


def _validation(runs: Sequence[Record]) -> float:
    return statistics.fmean(run.result["validation_accuracy"] for run in runs)


def _test(runs: Sequence[Record]) -> float:
    return statistics.fmean(run.accuracy for run in runs)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f}"


def _head(first: str, columns: Sequence[str]) -> list[str]:
    return [_line(first, columns), f"|{'---|' * (len(columns) + 1)}"]


def _line(first: str, cells: Sequence[str]) -> str:
    return "| " + " | ".join([first, *cells]) + " |"
