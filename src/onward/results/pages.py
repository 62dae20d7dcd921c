"""Results: the pages of tables that are made from all records."""

import json
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pandas import DataFrame, Series

from onward.data import title_of
from onward.recipes import RECIPES
from onward.results.markdown import markdown
from onward.results.numbers import beside_published, interval, published_number, size, spread
from onward.results.statistics import difference
from onward.results.tables import best_rows, control_of, overview, printed, published_of, shared
from onward.runs.records import Record, Records, Row, read_records
from onward.screen import gap_in_points
from onward.storage.disk import make_folder, write_text

_MARKS = ("<!-- results -->", "<!-- /results -->")

_PREFACE = (
    "Made from `results/runs/` by `make results`; do not edit. Test accuracy in percent: mean, standard deviation and",
    "95 % interval over seeds, which seeds that all agree do not have; a run reads the test split once, with the",
    "weights of the last epoch; where a recipe was changed after one, the page of its method notes it. `backprop` is",
    "the same network on the same budget, `gap` what the row has more at equal seeds, paired, with its 95 % interval;",
    "both are empty where backprop was not trained on that. `shown` is met or short where a one-sided test against",
    "the published number shows it at a risk of 5 % (Welch's if its deviation over trials is known), on the public",
    "test split alone. With fewer than 5 seeds a row is preliminary. `locality`: how far the gradient of an objective",
    "reaches, measured; docs/concepts.md defines the words.",
)


def results_page(folder: Path) -> str:
    """Return RESULTS.md for all records: methods side by side, a table per data set, and what has not been run.

    Raises ValueError as `read_records` does.
    """
    records = read_records(folder)
    lines = ["# Results", "", *_PREFACE, *_methods(records, folder)]
    for data, table in _tables(records, by=[row.data for row in records]):
        lines += ["", f"## {title_of(data)}", "", *markdown(table)]
    return "\n".join([*lines, "", *_not_run(records)]) + "\n"


def short_table(folder: Path, data: str = "cifar10") -> str:
    """Return a table with each local method's best row on a public set and its copies, for a text such as a README.

    Raises ValueError as `read_records` does, and if nothing was recorded on that set.
    """
    lines = best_rows(read_records(folder), data)
    if not lines:
        raise ValueError(f"{folder / 'runs'} has no record of a local method on {data}")
    return "\n".join(lines)


def method_pages(folder: Path) -> dict[str, str]:
    """Return, for each algorithm's class, the table of its recorded runs.

    Raises ValueError as `read_records` does.
    """
    records = read_records(folder)
    tables = _tables(records, by=[runs[0].method for runs in records.values()])
    return {method: "\n".join(markdown(table)) + "\n" for method, table in tables}


def write_results(folder: Path) -> Path:
    """Write RESULTS.md, which is returned, and `methods/CLASS.md` for the page of each method.

    Raises ValueError as `read_records` does.
    """
    page = folder / "RESULTS.md"
    write_text(page, results_page(folder))
    methods = folder / "methods"
    make_folder(methods)  # all pages in it are rewritten
    for old in methods.glob("*.md"):
        old.unlink()
    for method, table in method_pages(folder).items():
        write_text(methods / f"{method}.md", table)
    return page


def insert(path: Path, tables: str) -> None:
    """Put tables between the marks of a text file. Raises ValueError if it has no such marks."""
    if path.is_symlink():
        raise ValueError(f"{path} is a link; name the file that it leads to")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8 (byte {error.start}): save it as UTF-8") from None
    before, opening, rest = text.partition(_MARKS[0])
    _, closing, after = rest.partition(_MARKS[1])
    if not (opening and closing):
        raise ValueError(f"{path} has no lines {_MARKS[0]} and {_MARKS[1]} to put the results between")
    write_text(path, f"{before}{opening}\n\n{tables}\n\n{closing}{after}")


def _methods(records: Records, folder: Path) -> list[str]:
    tables = (overview(records, _costs(folder), printed()), shared(records))
    return [line for table in tables if table for line in ("", *table)]


def _costs(folder: Path) -> dict[str, Any]:
    """Return the measured costs of a step of each method."""
    path = folder / "benchmarks" / "methods.json"
    if not path.exists():
        return {}
    try:
        return {row["method"]: row for row in json.loads(path.read_text())["rows"]}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is not what benchmarks/methods.py writes ({type(error).__name__}: {error}): make it "
            "again, or delete it"
        ) from None


def _not_run(records: Records) -> list[str]:
    """List the recipes with a published number that have no record."""
    known = {row.recipe for row in records}
    rows = [
        (
            f"`{recipe.name}`",
            f"{published_number(recipe.published, recipe.data.task)} ({recipe.published.source})",
        )
        for recipe in RECIPES
        if recipe.published and recipe.name not in known
    ]
    table = DataFrame(rows, columns=["recipe", "published %"])
    return ["## Not run yet", "", *markdown(table.sort_values("recipe"))]


def _tables(records: Records, by: Sequence[str]) -> Iterator[tuple[str, DataFrame]]:
    """Yield the table of the rows of each group, in the order of the groups; `by` names the group of each row."""
    cells = DataFrame([_row(row, records) for row in records])
    for group, table in cells.groupby(Series(by, dtype=object)):
        yield str(group), table


def _row(row: Row, records: Records) -> dict[str, str]:
    runs = records[row]
    first = runs[0].result
    accuracies, task = [run.accuracy for run in runs], first.task_or_default
    control = control_of(row, records)
    by_rule = [run.result.test_accuracy_by_rule for run in runs]
    others = [rule for rule in list(by_rule[0])[1:] if all(rule in each for each in by_rule)]
    published, shown = _published(runs)
    return {
        "recipe": f"`{row.recipe}`",
        "locality": runs[0].locality,
        "test %": spread(accuracies, task),
        "95 %": interval(accuracies, task),
        "seeds": str(len(runs)),
        "backprop %": spread([run.accuracy for run in control], task) if control else "",
        "gap": _gap(runs, control),
        "published %": published,
        "shown": shown,
        "other %": ", ".join(f"{rule} {spread([each[rule] for each in by_rule], task)}" for rule in others),
        "weights": f"{first.parameters / 1e6:.2f} M",
        "epochs": str(first.epochs),
        **_time(runs),
    }


def _time(runs: Sequence[Record]) -> dict[str, str]:
    """Write the mean minutes of a training on each machine, and the machines, in one order."""
    seconds: dict[str, list[float]] = {}
    for run in runs:
        seconds.setdefault(run.result.device, []).append(run.result.train_seconds)
    return {
        "minutes": " / ".join(f"{statistics.mean(each) / 60:.1f}" for each in seconds.values()),
        "device": " / ".join(seconds),
    }


def _gap(runs: Sequence[Record], control: Sequence[Record]) -> str:
    """Write a row's result above backprop's at equal seeds, in percentage points; of R2 as it is."""
    ours, theirs = ({run.recipe.seed: run.accuracy for run in each} for each in (runs, control))
    gap = difference(ours, theirs)
    if gap is None:
        return ""
    task = runs[0].result.task_or_default
    return gap_in_points(task, gap.mean) + (f" ± {size(task, gap.margin)}" if gap.margin is not None else "")


def _published(runs: Sequence[Record]) -> tuple[str, str]:
    """Write the published number, its source and the verdict over seeds."""
    published = published_of(runs[0])
    if published is None:
        return "", ""
    result, ours = runs[0].result, [run.accuracy for run in runs]
    task = result.task_or_default
    written = f"{published_number(published, task)} ({published.source})"
    return written, beside_published(ours, published, task, result.data_note)
