"""Tables in a terminal: every number is shown whole at every width."""

import os
import sys
from collections.abc import Sequence
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from onward.screen import shown

Row = tuple[str, Sequence[str]]
"""What a row is called, and its cells."""

_FRAME = 3  # columns that one cell's padding and border take
_HEAD = 16  # the longest word of a head that is not broken
_PAPER = 160  # width of a file or a pipe, unless COLUMNS is set


def console(*, stderr: bool = False) -> Console:
    """Return a console that prints text as it is: no markup, no emoji codes, no colors of its own."""
    stream: TextIO | None = sys.stderr if stderr else sys.stdout
    free = not (stream and stream.isatty()) and "COLUMNS" not in os.environ
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=_PAPER if free else None)


def show_table(title: str, heads: Sequence[str], rows: Sequence[Row], *, out: Console | None = None) -> None:
    """Print a table below its title; `heads` are those of all columns, names of rows first.

    Where it is too wide, heads break between words first, then names of rows; columns that still find no room follow
    in a further table. Cells never break. Control characters in names are written out.
    """
    out = out or console()
    lines = [heads, *([name, *cells] for name, cells in rows)]
    names, *columns = zip(*(map(shown, line) for line in lines), strict=True)
    out.print(f"\n{shown(title)}", style="italic", soft_wrap=True)
    widths, parts = _layout([_widest(names[1:]), _longest_word(names[:1])], [_bounds(c) for c in columns], out.width)
    for part in parts:
        out.print(_table(names, [columns[k] for k in part], widths[0], [widths[1 + k] for k in part]))


def tell(text: str) -> None:
    """Print a sentence: broken between words on a terminal, on one line in a file or a pipe."""
    console().print(Text(shown(text)), soft_wrap=not sys.stdout.isatty())


def _table(names: Sequence[str], columns: Sequence[Sequence[str]], first: int, widths: Sequence[int]) -> Table:
    table = Table()
    table.add_column(Text(names[0]), width=first, overflow="fold")
    for (head, *_), width in zip(columns, widths, strict=True):
        table.add_column(Text(head), justify="right", width=width, overflow="fold")
    for name, *cells in zip(names[1:], *(column[1:] for column in columns), strict=True):
        table.add_row(*map(Text, (name, *cells)))
    return table


def _layout(first: Sequence[int], bounds: Sequence[tuple[int, int]], room: int) -> tuple[list[int], list[list[int]]]:
    """Return the width of every column, names first, and groups of the other columns."""
    name, least = max(first), [low for low, _ in bounds]
    for widths in ([high for _, high in bounds], least):
        if _total([name, *widths]) <= room:
            return [name, *widths], [list(range(len(bounds)))]
    narrow = min(name, max(room // 4, first[1]))
    if _total([narrow, *least]) <= room:
        return [min(name, room - _total([0, *least])), *least], [list(range(len(bounds)))]
    parts: list[list[int]] = [[]]
    for k, width in enumerate(least):
        if parts[-1] and _total([narrow, *(least[j] for j in parts[-1]), width]) > room:
            parts.append([])
        parts[-1].append(k)
    fullest = max(_total([0, *(least[k] for k in part)]) for part in parts)
    return [max(1, min(name, room - fullest)), *least], parts


def _total(widths: Sequence[int]) -> int:
    return 1 + sum(width + _FRAME for width in widths)


def _bounds(column: Sequence[str]) -> tuple[int, int]:
    """Return the least width of a column and the one at which its head needs one line."""
    head, *cells = column
    least = max(_widest(cells), min(_HEAD, _longest_word([head])))
    return least, max(least, min(cell_len(head), 2 * _HEAD))


def _widest(texts: Sequence[str]) -> int:
    return max((cell_len(text) for text in texts), default=0)


def _longest_word(texts: Sequence[str]) -> int:
    return _widest([word for text in texts for word in text.split()])
