"""Markdown tables of frames whose cells are texts already."""

from collections.abc import Iterable

from pandas import DataFrame


def markdown(table: DataFrame) -> list[str]:
    """Return the lines of a table: its columns, a rule, and its rows, in their order."""
    head, rows = list(table.columns), table.itertuples(index=False, name=None)
    return [_line(head), f"|{'---|' * len(head)}", *map(_line, rows)]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
