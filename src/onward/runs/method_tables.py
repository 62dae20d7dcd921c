"""Tables of methods: each method on each data set, and methods that were trained in exactly the same way."""

import json
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from onward.recipes import RECIPES

Record = dict[str, Any]
Records = Mapping[str, Sequence[Record]]
"""By recipe, a record for each seed."""
Printed = Mapping[str, Mapping[str, float]]
"""By method and image set, the published test accuracy."""
Costs = Mapping[str, Mapping[str, Any]]
"""By method, what a step of it costs: the rows of `results/benchmarks/methods.json`."""

_CONTROL_OF = {recipe.name: recipe.backprop for recipe in RECIPES}
_BUDGET = ("net", "data", "epochs", "batch_size")
_DEFAULTS = (("padding", "zeros"), ("adamw_share", 0.02), ("micro_batches", 1))  # of settings that came later
_CONTROLS = ("Backprop", "DeepSupervision")
_OVERVIEW = (
    "Each cell is test % / published % / backprop % on the same network and budget; of several recipes the one that is",
    "best on its validation split. A recipe without a published number of its own, and a set without a run, have the",
    "method's highest one, on whatever network.",
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


def control_of(runs: Sequence[Record], records: Records) -> list[Record]:
    """Return the records of a row's control, if they are of the same network, images, epochs, batches and precision.

    It is the one that the recipe of that name has today, or else the one that was recorded.
    """
    recorded: str | None = runs[0]["backprop_recipe"]
    name = _CONTROL_OF.get(runs[0]["recipe"], recorded)
    return [run for run in records.get(name or "", ()) if _budget(run) == _budget(runs[0])]


def settings(record: Record) -> Any:
    """Return what a record was trained with: all that is switched on, but for its seed and its texts.

    What is off is the same as what an older record does not know.
    """
    texts = ("seed", "name", "description", "published", "backprop")
    return _switched_on({key: value for key, value in record["config"].items() if key not in texts})


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
    best: dict[str, dict[str, Sequence[Record]]] = defaultdict(dict)
    for runs in records.values():
        method, data = _method(runs[0]), runs[0]["config"]["data"]["name"]
        known = best[method].get(data)
        if known is None or _mean(runs, "validation_accuracy") > _mean(known, "validation_accuracy"):
            best[method][data] = runs
    if not best.keys() - {*_CONTROLS}:
        return []
    numbers: Printed = published or {}
    methods = sorted((best.keys() | numbers.keys()) - {*_CONTROLS})
    columns = sorted({data for method in methods for data in (*best.get(method, ()), *numbers.get(method, ()))})
    notes = {runs[0]["config"]["data"]["name"]: _data(runs[0]) for runs in records.values()}
    head = [*(notes.get(data, data) for data in columns), *(["weights", "memory", "step"] if costs else [])]
    lines = ["## Methods", "", *_OVERVIEW, *(_COSTS if costs else ()), "", *_head("method", head)]
    for method in methods:
        cells = [_cell(best[method].get(data), records, numbers.get(method, {}).get(data)) for data in columns]
        lines.append(_line(f"`{method}`", cells + (_prices(costs.get(method)) if costs else [])))
    return lines


def shared(records: Records) -> list[str]:
    """Return the lines of the tables of three or more methods that differ in nothing but the method."""
    groups: dict[str, list[Sequence[Record]]] = defaultdict(list)
    for runs in records.values():
        if _method(runs[0]) != "Backprop":
            groups[_way(runs[0])].append(runs)
    alike = [group for group in groups.values() if len({_method(runs[0]) for runs in group} - {*_CONTROLS}) > 2]
    if not alike:
        return []
    lines = ["## The same training", "", *_SHARED]
    for group in sorted(alike, key=lambda group: _data(group[0][0])):
        first = group[0][0]
        title = f"{_data(first)}, {first['config']['net']['type']}, {first['epochs']} epochs:"
        lines += ["", title, "", *_head("method", ["test %", "backprop %", "recipe"])]
        lines += [_row(runs, records) for runs in sorted(group, key=lambda runs: -_mean(runs, "test_accuracy"))]
    return lines


def _row(runs: Sequence[Record], records: Records) -> str:
    control = control_of(runs, records)
    beside = _percent(_mean(control, "test_accuracy")) if control else ""
    cells = [_percent(_mean(runs, "test_accuracy")), beside, f"`{runs[0]['recipe']}`"]
    return _line(f"`{_method(runs[0])}`", cells)


def _way(record: Record) -> str:
    """Write down all of a training but its method and what a method needs for its own read-out."""
    trained = settings(record)
    trainer = {key: value for key, value in trained["trainer"].items() if key != "adamw_share"}
    return json.dumps({**{key: trained[key] for key in _BUDGET}, "trainer": trainer}, sort_keys=True)


def _budget(record: Record) -> Any:
    trained = settings(record)
    return [*(trained[key] for key in _BUDGET), trained["trainer"].get("precision")]


def _switched_on(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    known = {key: _switched_on(item) for key, item in value.items()}
    return {key: item for key, item in known.items() if item not in (None, False, 0) and (key, item) not in _DEFAULTS}


def _cell(runs: Sequence[Record] | None, records: Records, known: float | None) -> str:
    if runs is None:
        return f"– / {_percent(known)} / –" if known else ""
    published, control = runs[0]["published"], control_of(runs, records)
    met = published["test_accuracy"] if published else known
    numbers = (_mean(runs, "test_accuracy"), met, _mean(control, "test_accuracy") if control else None)
    return " / ".join("–" if number is None else _percent(number) for number in numbers)


def _prices(cost: Mapping[str, Any] | None) -> list[str]:
    if cost is None:
        return ["", "", ""]
    return [f"{cost['parameters_M']:.2f} M", f"{cost['memory_of_backprop']:.2f}", f"{cost['step_of_backprop']:.2f}"]


def _method(record: Record) -> str:
    return record["config"]["algorithm"]["type"]


def _data(record: Record) -> str:
    return record["data_note"] or record["data"]


def _mean(runs: Sequence[Record], key: str) -> float:
    return statistics.mean(run[key] for run in runs)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f}"


def _head(first: str, columns: Sequence[str]) -> list[str]:
    return [_line(first, columns), f"|{'---|' * (len(columns) + 1)}"]


def _line(first: str, cells: Sequence[str]) -> str:
    return "| " + " | ".join([first, *cells]) + " |"
