"""The command `onward list`: recipes, methods, networks and data sets, with results."""

import argparse
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from onward.cli.index import Listed, RecipeRow, Summary, read_index, summarized, with_own
from onward.cli.usage import CommandLineError, fitted
from onward.screen import in_percent, likely, shown

_USAGE = """usage: onward list [WORD] [--method METHOD] [--data DATA]

Lists algorithms, recipes and data sets. Of a recipe: test accuracy in percent (mean of its recorded seeds), minutes of
a training on the machine of the record, how far the gradient of an objective reaches, and what is trained; numbers on
a copy of a data set that is not the public one are marked. Records below results/ here replace those that came with
onward.

  WORD                     recipes with this word in name, method, data set or description
  --method METHOD          recipes of one method, such as DeeperForward
  --data DATA              recipes on one data set, such as cifar10
"""
_HEAD = "  test %  minutes  recipe"
_LEAST = 30  # columns that a description needs beside a name


def run(words: Sequence[str]) -> None:
    """Carry out `onward list`. Raises ValueError for a user's error."""
    if list(words[:1]) in (["-h"], ["--help"]):
        print(fitted(_USAGE), end="")
        return
    order = _order(words)
    index = read_index()
    records = with_own(index.records, summarized(Path("results"), index.old_names))
    rows = _chosen(index.recipes, index.locality, order)
    width = shutil.get_terminal_size((200, 50)).columns
    if not _filtered(order):
        _print_columns("algorithms", index.algorithms, width)
        print("recipes")
    print(_HEAD)
    _print_recipes(rows, index, records, width, detailed=_filtered(order))
    if not _filtered(order):
        _print_columns("controls of every RECIPE: onward train RECIPE --control NAME", index.controls, width)
        _print_columns("data sets", index.data_sets, width)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise CommandLineError(f"{message}; see onward list --help")


def _order(words: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(prog="onward list", add_help=False)
    parser.add_argument("word", nargs="?", default="")
    parser.add_argument("--method", default="")
    parser.add_argument("--data", default="")
    return parser.parse_args(list(words))


def _filtered(order: argparse.Namespace) -> bool:
    return bool(order.word or order.method or order.data)


def _chosen(recipes: Sequence[RecipeRow], reach: Mapping[str, str], order: argparse.Namespace) -> list[RecipeRow]:
    """Return the recipes that a user asked for. Raises CommandLineError if there are none."""
    for name in ("method", "data"):
        asked, known = getattr(order, name), dict.fromkeys(getattr(row, name) for row in recipes)
        if asked and _plain(asked) not in map(_plain, known):
            raise CommandLineError(f"--{name} {asked}: no recipe has it{likely(asked, known)}")
    rows = [
        row
        for row in recipes
        if _plain(order.method) in ("", _plain(row.method))
        and _plain(order.data) in ("", _plain(row.data))
        and any(order.word.lower() in value.lower() for value in (*row, reach.get(row.name, "")))
    ]
    if not rows:
        asked = " ".join(word for word in (order.word, order.method, order.data) if word)
        close = likely(order.word, [row.name for row in recipes])
        raise CommandLineError(f"no recipe has {asked!r}{close}; `onward list` shows all")
    return rows


def _plain(name: str) -> str:
    """A name in small letters and digits alone: DeeperForward, deeper-forward and deeper_forward are one."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _print_recipes(
    rows: Sequence[RecipeRow], index: Listed, records: Mapping[str, Summary], width: int, *, detailed: bool
) -> None:
    """Print the recipes method by method."""
    reach = index.locality
    methods: dict[str, list[RecipeRow]] = {}
    for row in rows:
        methods.setdefault(row.method, []).append(row)
    for method, group in methods.items():
        print(f" {method}")
        names = max(len(row.name) for row in group)
        reaches = max(len(reach.get(row.name, "")) for row in group)
        apart = reaches > 0 and width - len(_numbers(None)) - names - reaches - 4 >= _LEAST
        for row in group:
            control, about = _control(row.name, index, records), row.description
            about += f"; backprop {in_percent(control.task, control.test)}" if detailed and control else ""
            name, beside, summary, reached = row.name, names, records.get(row.name), reach.get(row.name, "")
            about += f"; numbers on {summary.data}" if summary and summary.data else ""
            if apart:
                name, beside = f"{name:<{names}}  {reached}", names + 2 + reaches
            elif reached:
                about = f"{reached}; {about}"
            _print_row(_numbers(summary), name, beside, about, width)


def _control(name: str, index: Listed, records: Mapping[str, Summary]) -> Summary | None:
    """Return the summary of a recipe's control by backprop on the same images: its own, or one that it shares."""
    control = records.get(f"backprop-{name}") or records.get(index.shared_controls.get(name, ""))
    own = records.get(name)
    return control if control is None or own is None or control.data == own.data else None


def _numbers(record: Summary | None) -> str:
    test = minutes = ""
    if record is not None:
        test, minutes = in_percent(record.task, record.test), f"{record.minutes:,.1f}"
    return f"  {test:>6}  {minutes:>7}  "


def _print_row(numbers: str, name: str, names: int, about: str, width: int) -> None:
    """Print numbers, name and description: on one line, below each other where that is too narrow."""
    indent = len(numbers) + names + 2
    if width - indent >= max(_LEAST, *map(len, about.split())):  # a name in a description stays whole
        first, *rest = _wrapped(about, width - indent)
        print(f"{numbers}{name:<{names}}  {first}".rstrip())
        _print_indented(rest, indent)
        return
    if len(numbers) + len(name) > width:
        print(numbers.rstrip())
        numbers = "  "
    print(numbers + name)
    _print_indented(_wrapped(about, width - 6), 6)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(shown(text), width, break_on_hyphens=False) or [""]


def _print_indented(lines: Sequence[str], indent: int) -> None:
    for line in lines:
        print(" " * indent + line)


def _print_columns(title: str, rows: Sequence[Sequence[str]], width: int) -> None:
    """Print a title, and rows of a name and a text below it."""
    print(title)
    names = max(len(name) for name, _ in rows)
    for name, text in rows:
        first, *rest = _wrapped(text, max(width - names - 4, 20))
        print(f"  {name:<{names}}  {first}")
        _print_indented(rest, names + 4)
