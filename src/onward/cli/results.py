"""The command `onward results`: the tables of all recorded runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from onward.cli.arguments import parse
from onward.cli.recording import RESULTS
from onward.results.pages import insert, short_table, write_results
from onward.runs.records import read_records
from onward.screen import say


@dataclass(frozen=True)
class ResultsArguments:
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")] = RESULTS
    """Folder with runs/RECIPE/seed-N.json."""
    into: Path | None = None
    """Text file with lines `<!-- results -->` and `<!-- /results -->`: for each method's best CIFAR-10 row."""
    leaderboard: Path | None = None
    """Markdown file to write the leaderboard to, its charts in figures/ beside it; counts operations of trainings."""


def run(words: Sequence[str]) -> None:
    """Carry out `onward results`. Raises ValueError for a user's error."""
    order = parse(ResultsArguments, "results", words)
    if not any((order.folder / "runs").rglob("seed-*.json")):
        raise ValueError(f"{order.folder / 'runs'} has no records; `onward train RECIPE` records finished runs there")
    for flag, path in (("--into", order.into), ("--leaderboard", order.leaderboard)):
        _check_file(flag, path)
    page = write_results(order.folder)
    say(page)
    if order.into is not None:
        insert(order.into, short_table(order.folder))
        say(order.into)
    if order.leaderboard is not None:
        _lead(order.folder, order.leaderboard)


def _check_file(flag: str, path: Path | None) -> None:
    """Raise ValueError for a file that cannot be written, before anything is."""
    if path is None:
        return
    if path.is_dir():
        raise ValueError(f"{flag} {path} is a folder: give the path of a Markdown file")
    if flag == "--into" and not path.is_file():
        raise ValueError(f"{flag} {path} does not exist: give a text file with lines to put the table between")
    if not path.parent.is_dir():
        raise ValueError(f"{flag} {path}: there is no folder {path.parent}: make it first")


def _lead(folder: Path, page: Path) -> None:
    from onward.costs import operations
    from onward.results.leaderboard import write_leaderboard

    records = read_records(folder)
    operations.count_missing(folder, [runs[0] for runs in records.values()], say=say)
    known = operations.kept(folder)
    counted = {row: operations.of_record(runs[0], known) for row, runs in records.items()}
    for path in write_leaderboard(page, records, {row: n for row, n in counted.items() if n is not None}):
        say(path)
