"""Numbers that a table of texts has in another form than Python's: decimal commas are read, others are refused."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from onward.core.texts_as_numbers import check_texts

_COMMA = re.compile(r"[+-]?\d+(,\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")  # 1,234: more than a thousand, or a bit more than one


def with_decimal_commas(frame: Any, *, texts: Collection[str], numbers: Collection[str]) -> Any:
    """Return a table whose columns of numbers with decimal commas, such as 1,5, are numbers.

    Not the columns `texts`; and where every comma may also separate thousands, the columns `numbers` alone.
    """
    changed = frame.copy(deep=False)
    for name in frame.columns:
        entries = [] if name in texts else _texts(frame[name])
        with_comma = [entry for entry in entries if "," in entry]
        if not with_comma or not all(_COMMA.fullmatch(entry) for entry in entries):
            continue
        if name not in numbers and all(_THOUSANDS.fullmatch(entry) for entry in with_comma):
            continue
        changed[name] = frame[name].map(lambda text: float(text.replace(",", ".")), na_action="ignore").astype(float)
    return changed


def check_plain(frame: Any, file: Path) -> None:
    """Raise ValueError for a column of many texts that all are numbers or dates: categories would mean nothing.

    Also where all but a few are, as with ? for what is missing.
    """
    for name in frame.columns:
        check_texts(set(_texts(frame[name])), f"the column {name!r} of {file}", "leave the column out (ignore)")


def _texts(column: Any) -> list[str]:
    """Return the texts of a column, which has nothing else; an empty list for one of numbers."""
    if column.dtype.kind in "biufmM":
        return []
    texts = [entry for entry in column if isinstance(entry, str)]
    return [text.strip() for text in texts] if len(texts) == int(column.notna().sum()) else []
