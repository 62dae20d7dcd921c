"""Results: the record of a finished run, and the table made from all records."""

import json
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

from onward.core import Learner
from onward.data import Splits
from onward.measure import peak_memory
from onward.recipes import RECIPES, Recipe
from onward.runs.codec import encode
from onward.runs.evaluation import Accuracy
from onward.runs.files import read_json, write_json
from onward.runs.method_tables import control_of, overview, printed, settings, shared

_MARKS = ("<!-- results -->", "<!-- /results -->")

_PREFACE = (
    "Made from `results/runs/` by `make results`; do not edit. Test accuracy in percent, mean and standard deviation",
    "over seeds; a run reads the test split once, with the weights of the last epoch; where a recipe was changed after",
    "one, the page of its method says so. `backprop` is the same network on the same budget; where it was not trained",
    "on that, the cell is empty. With fewer than 5 seeds a row is preliminary.",
)
_HEAD = (
    "| recipe | test % | seeds | backprop % | published % | met | other % | weights | epochs | minutes | device |",
    f"|{'---|' * 11}",
)


def make_record(
    recipe: Recipe,
    data: Splits,
    learner: Learner,
    *,
    train_seconds: float,
    test: Accuracy,
    validation: Accuracy,
    machine: dict[str, Any],
) -> dict[str, Any]:
    """Collect what a number needs to be trusted: recipe, seed, data, machine, commit. Accuracies are fractions.

    `machine` is the environment in which the run began: what it was trained with.
    """
    memory, meter = peak_memory(learner.device)
    parameters = sum(p.numel() for block in learner.blocks for p in block.parameters())
    return {
        "recipe": recipe.name,
        "seed": recipe.seed,
        "test_accuracy": test.headline,
        "test_accuracy_by_rule": test.by_rule,
        "test_accuracy_by_block": list(test.by_block),
        "validation_accuracy": validation.headline,
        "backprop_recipe": recipe.backprop,
        "published": encode(recipe.published),
        "data": data.name,
        "data_note": data.note,
        "n_train": len(data.train),
        "n_validation": len(data.validation),
        "n_test": len(data.test),
        "epochs": recipe.epochs,
        "parameters": parameters,
        "train_seconds": train_seconds,
        "peak_memory_bytes": memory,
        "peak_memory_meter": meter,
        "config": encode(recipe),
        **machine,
    }


def record(folder: Path, result: dict[str, Any]) -> Path:
    """File a finished run as `folder/runs/RECIPE/seed-N.json`."""
    path = record_path(folder, result)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, result)
    return path


def record_path(folder: Path, result: dict[str, Any]) -> Path:
    """Return where the record of a recipe and seed belongs."""
    return folder / "runs" / result["recipe"] / f"seed-{result['seed']}.json"


def read_records(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return all records by recipe, a recipe's by seed.

    Raises ValueError for a damaged record, and for seeds of a recipe that were trained in different ways.
    """
    by_recipe: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path in sorted((folder / "runs").glob("*/seed-*.json")):
        result = read_json(path)
        seeds = by_recipe[result["recipe"]]
        if seeds and settings(seeds[0]) != settings(result):
            raise ValueError(
                f"{path} was trained with other settings than seed {seeds[0]['seed']} of {result['recipe']}: "
                "train it again, or delete the record"
            )
        seeds.append(result)
    return by_recipe


def results_page(folder: Path) -> str:
    """Return RESULTS.md for all records: methods side by side, a table per data set, and what has not been run.

    Raises ValueError as `read_records` does.
    """
    by_recipe = read_records(folder)
    by_data: dict[str, list[str]] = defaultdict(list)
    for name, runs in sorted(by_recipe.items()):
        by_data[runs[0]["data_note"] or runs[0]["data"]].append(name)
    lines = ["# Results", "", *_PREFACE, *_methods(by_recipe, folder)]
    for data, names in sorted(by_data.items()):
        lines += ["", f"## {data}", "", *_HEAD, *(_row(name, by_recipe) for name in names)]
    return "\n".join([*lines, "", *_not_run(by_recipe)]) + "\n"


def summary(folder: Path) -> str:
    """Return what RESULTS.md says of methods side by side, for a text that has headings of its own above it.

    Raises ValueError as `read_records` does.
    """
    return "\n".join(_methods(read_records(folder), folder)[1:]).replace("## ", "### ")


def method_pages(folder: Path) -> dict[str, str]:
    """Return, for each algorithm's class, the table of its recorded runs.

    Raises ValueError as `read_records` does.
    """
    by_recipe = read_records(folder)
    rows: dict[str, list[str]] = defaultdict(list)
    for name, runs in sorted(by_recipe.items()):
        rows[runs[0]["config"]["algorithm"]["type"]].append(_row(name, by_recipe))
    return {method: "\n".join([*_HEAD, *lines]) + "\n" for method, lines in rows.items()}


def write_results(folder: Path) -> Path:
    """Write RESULTS.md, which is returned, and `methods/CLASS.md` for the page of each method.

    Raises ValueError as `read_records` does.
    """
    page = folder / "RESULTS.md"
    page.write_text(results_page(folder))
    methods = folder / "methods"
    methods.mkdir(exist_ok=True)
    for old in methods.glob("*.md"):
        old.unlink()
    for method, table in method_pages(folder).items():
        (methods / f"{method}.md").write_text(table)
    return page


def insert(path: Path, tables: str) -> None:
    """Put tables between the marks of a text file. Raises ValueError if it has no such marks."""
    text = path.read_text()
    before, opening, rest = text.partition(_MARKS[0])
    _, closing, after = rest.partition(_MARKS[1])
    if not (opening and closing):
        raise ValueError(f"{path} has no lines {_MARKS[0]} and {_MARKS[1]} to put the results between")
    path.write_text(f"{before}{opening}\n\n{tables}\n\n{closing}{after}")


def spread(values: list[float]) -> str:
    """Write fractions as a percentage with the deviation over seeds, where there are several."""
    mean = f"{100 * statistics.mean(values):.2f}"
    return mean if len(values) < 2 else f"{mean} ± {100 * statistics.stdev(values):.2f}"


def _methods(by_recipe: dict[str, list[dict[str, Any]]], folder: Path) -> list[str]:
    tables = (overview(by_recipe, _costs(folder), printed()), shared(by_recipe))
    return [line for table in tables if table for line in ("", *table)]


def _costs(folder: Path) -> dict[str, Any]:
    """Return what a step of each method costs, where that was measured."""
    path = folder / "benchmarks" / "methods.json"
    return {row["method"]: row for row in json.loads(path.read_text())["rows"]} if path.exists() else {}


def _not_run(by_recipe: dict[str, list[dict[str, Any]]]) -> list[str]:
    """List the recipes with a published number that have no record."""
    rows = [
        f"| `{recipe.name}` | {100 * recipe.published.test_accuracy:.2f} ({recipe.published.source}) |"
        for recipe in RECIPES
        if recipe.published and recipe.name not in by_recipe
    ]
    return ["## Not run yet", "", "| recipe | published % |", "|---|---|", *sorted(rows)]


def _row(name: str, by_recipe: dict[str, list[dict[str, Any]]]) -> str:
    runs = by_recipe[name]
    first = runs[0]
    accuracies = [run["test_accuracy"] for run in runs]
    control = [run["test_accuracy"] for run in control_of(runs, by_recipe)]
    others = list(first["test_accuracy_by_rule"])[1:]
    cells = [
        f"`{name}`",
        spread(accuracies),
        str(len(runs)),
        spread(control) if control else "",
        *_published(first["published"], statistics.mean(accuracies)),
        ", ".join(f"{rule} {spread([run['test_accuracy_by_rule'][rule] for run in runs])}" for rule in others),
        f"{first['parameters'] / 1e6:.2f} M",
        str(first["epochs"]),
        f"{statistics.mean(run['train_seconds'] for run in runs) / 60:.1f}",
        first["device"],
    ]
    return "| " + " | ".join(cells) + " |"


def _published(published: dict[str, Any] | None, ours: float) -> tuple[str, str]:
    """The number to meet, with its source, and whether it is met: by a mean over seeds, rounded as it was printed."""
    if published is None:
        return "", ""
    short = round(100 * (published["test_accuracy"] - ours), 2)
    return (
        f"{100 * published['test_accuracy']:.2f} ({published['source']})",
        f"short by {short:.2f}" if short > 0 else "yes",
    )
