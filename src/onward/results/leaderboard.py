"""The leaderboard: every recorded recipe in one sortable table, and accuracy against operations of the training."""

import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from pandas import DataFrame

from onward.data import title_of
from onward.plots import Point, accuracy_by_cost, svg
from onward.plots.curves import BACKPROP
from onward.results.summary import summary
from onward.runs.records import Records, Row
from onward.screen import gap_in_points, in_percent
from onward.storage.disk import make_folder, write_text

_PREFACE = """---
hide: [navigation, toc]
---

# Leaderboard

Made from `results/runs/` by `make results`; do not edit. Every recorded recipe on its images: click the head of a
column to sort by it. Test accuracy is the mean over seeds, with its 95 % interval where there are two or more that
differ. `gap` is the accuracy above that of backprop on the same network and budget at equal seeds, in points.
`locality` is how far the gradient of an objective reaches ([Concepts](concepts.md#locality)).

`operations` are those of the whole training, counted and not timed: products of convolutions and linear layers, two for
a multiply-add, of forward passes, gradients, auxiliary networks and the optimizer, for all epochs. Augmentation,
validation, evaluation and the solving of linear systems are not counted. The count is the same on every machine, unlike
the time that a training takes.

A CIFAR-10 that trains on 40,000 images and tests on a training batch is another data set than the standard split, and
has its own name: their rows cannot be compared.
"""
_COLUMNS = ("recipe", "data", "method", "locality", "test %", "95 %", "seeds", "gap", "weights", "operations")


def write_leaderboard(page: Path, records: Records, operations: Mapping[Row, int]) -> list[Path]:
    """Write the page and, in `figures/` beside it, a chart for each data set; return what was written."""
    rows = summary(records, operations)
    figures = page.parent / "figures"
    make_folder(figures)
    written, lines = [], [_PREFACE]
    for data, some in rows.groupby("data", sort=True):
        points = _points(some)
        if len(points) < 2:
            continue
        path, title = figures / f"leaderboard-{slug(str(data))}.svg", title_of(str(data))
        write_text(path, svg(accuracy_by_cost(points, "operations of the training", title=title), width=700))
        written.append(path)
        lines += [f"## {title}", "", f"![Test accuracy against operations of training, {title}](figures/{path.name})"]
        lines.append("")
    lines += ["## All rows", "", table(rows), ""]
    write_text(page, "\n".join(lines))
    return [page, *written]


def table(rows: DataFrame) -> str:
    """Return rows as an HTML table whose cells carry what they are sorted by; best accuracy of each data set first."""
    best = rows.sort_values(["data", "accuracy"], ascending=[True, False], kind="stable")
    head = "".join(f'<th><button type="button">{escape(column)}</button></th>' for column in _COLUMNS)
    body = "\n".join(_line(row) for row in best.to_dict("records"))
    return f'<table class="leaderboard">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>'


def slug(data: str) -> str:
    """Return a data set's name as part of a file's."""
    return re.sub(r"[^a-z0-9]+", "-", data.lower()).strip("-")


def _line(row: Mapping[str, Any]) -> str:
    task = row["task"]
    interval = "" if _missing(row["low"]) else f"{in_percent(task, row['low'])} to {in_percent(task, row['high'])}"
    operations = None if _missing(row["operations"]) else row["operations"]
    cells = [
        (f"<code>{escape(row['recipe'])}</code>", row["recipe"]),
        (escape(title := title_of(row["data"])), title),
        (escape(row["method"]), row["method"]),
        (escape(row["locality"]), row["locality"]),
        (in_percent(task, row["accuracy"]), row["accuracy"]),
        (interval, "" if not interval else row["low"]),
        (str(row["seeds"]), row["seeds"]),
        ("" if _missing(row["gap"]) else gap_in_points(task, row["gap"]), "" if _missing(row["gap"]) else row["gap"]),
        (f"{row['parameters'] / 1e6:.2f} M", row["parameters"]),
        ("" if operations is None else f"{operations:.2e}", "" if operations is None else int(operations)),
    ]
    columns = zip(_COLUMNS, cells, strict=True)
    return f"<tr>{''.join(_cell(column, text, value) for column, (text, value) in columns)}</tr>"


def _cell(column: str, text: str, value: object) -> str:
    return f'<td data-label="{escape(column)}" data-value="{escape(str(value))}">{text}</td>'


def _points(rows: DataFrame) -> list[Point]:
    points = []
    for row in rows.to_dict("records"):
        if not _missing(row["operations"]) and row["task"] != "values":  # charts are of shares
            low, high = (None if _missing(row[name]) else row[name] for name in ("low", "high"))
            kind = BACKPROP if row["method"] == "Backprop" else row["locality"]
            points.append(Point(row["recipe"], row["operations"], row["accuracy"], low, high, kind))
    return points


def _missing(value: Any) -> bool:
    """Tell whether a frame has no value there: a column of numbers has NaN in place of None."""
    return value is None or value != value
