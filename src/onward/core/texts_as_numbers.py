"""Texts in a column of a table that are numbers or dates in another form, or marks for what is missing."""

import re
from collections.abc import Collection

_MARKED = re.compile(r"[$€£]?[+-]?\d{1,3}([., ]?\d{3})*([.,]\d+)?\s?[%$€£]?")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?Z?)?")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_MARKS = 3  # different texts beside numbers, which stand for what is missing
_FEW = 20  # different texts, which may be categories


def check_texts(different: Collection[str], column: str, without: str) -> None:
    """Raise ValueError where many texts of a column all are numbers or dates: categories would mean nothing.

    Also where all but a few are, as with ? for what is missing. `without` tells how to do without the column.
    """
    if len(different) <= _FEW:
        return
    for pattern, noun, remedy in (
        (_MARKED, "numbers", "write them as plain numbers, such as 1234.5"),
        (_DATE, "dates", "write them as numbers, such as days since a first one"),
    ):
        if all(pattern.fullmatch(text) for text in different):
            raise ValueError(f"{column} holds {noun} as texts, such as {min(different)!r}: {remedy}, or {without}")
    odd = sorted(text for text in different if not _NUMBER.fullmatch(text))
    if 0 < len(odd) <= _MARKS:
        marks = " and ".join(map(repr, odd))
        raise ValueError(
            f"{column} holds numbers, and {marks} beside them: leave the entry empty where a number is missing, and "
            f"fill or leave out such rows, or {without}"
        )
