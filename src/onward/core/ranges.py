"""Ranges: the allowed values of a setting, annotated beside its type and checked when settings are created."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache
from numbers import Integral, Real
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

LARGEST = 3.4028234663852886e38
"""The largest number of 32 bits: beyond it torch raises errors of its own, or computes with infinity."""


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`; `above` excludes low itself, `below` excludes high."""

    low: int | float = -LARGEST
    high: int | float = LARGEST
    above: bool = False
    below: bool = False

    def holds(self, value: Any) -> bool:
        """Whether a number lies inside."""
        return (self.low < value if self.above else self.low <= value) and (
            value < self.high if self.below else value <= self.high
        )

    def in_words(self, what: str) -> str:
        """Return the range in words, `what` being the kind of number."""
        if self.low == -math.inf:
            return what
        if self.high == LARGEST:
            least = f" {'>' if self.above else '>='} {self.low:g}" if self.low > -LARGEST else ""
            return f"a finite number{least}"
        opening, closing = "(" if self.above else "[", ")" if self.below else "]"
        return f"{what} in {opening}{self.low:g}, {self.high}{closing}"


Size = Annotated[int, Range(1, 2**20)]
"""Sizes of tensors: channels, rows, columns."""
Count = Annotated[int, Range(1, 2**31 - 1)]
"""Counts of at least one."""
Whole = Annotated[int, Range(0, 2**31 - 1)]
"""Counts, zero included."""
Seed = Annotated[int, Range(0, 2**63 - 1)]
"""Seeds of random numbers."""
Finite = Annotated[float, Range()]
"""Any number that 32 bits can hold."""
NonNegative = Annotated[float, Range(0)]
"""Weights and strengths: 0 switches off."""
Positive = Annotated[float, Range(0, above=True)]
"""Scales: factors and divisors above 0."""
Share = Annotated[float, Range(0, 1)]
"""Shares and probabilities."""
ShareBelowOne = Annotated[float, Range(0, 1, below=True)]
"""Shares that leave something: dropout, momentum."""


def check_fields(settings: Any) -> None:
    """Check every field of a dataclass against its type and range; numbers of NumPy become Python's own.

    Types that are neither numbers, strings, choices, classes nor tuples of them are not checked.
    Raises ValueError with the field, what it must be, and its value.
    """
    for name, kind in _kinds(type(settings)):
        value = getattr(settings, name)
        plain = _plain(value)
        wrong = _wrong(plain, kind)
        if wrong is not None:
            raise ValueError(f"{name} of {type(settings).__name__} must be {wrong}, got {_given(value)}")
        if plain is not value:
            object.__setattr__(settings, name, plain)


def check_value(name: str, value: Any, kind: Any) -> Any:
    """Return an argument that is of this type and range, a number as one of Python's own.

    Raises ValueError with the argument, what it must be, and its value.
    """
    plain = _plain(value)
    wrong = _wrong(plain, kind)
    if wrong is not None:
        raise ValueError(f"{name} must be {wrong}, got {_given(value)}")
    return plain


@cache
def _kinds(cls: type) -> tuple[tuple[str, Any], ...]:
    try:
        known = get_type_hints(cls, include_extras=True)
    except NameError:  # imported for type checkers alone
        known = {}
    return tuple((field.name, known[field.name]) for field in fields(cls) if field.init and field.name in known)


def _given(value: Any) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}: give {value.__name__}()"
    if isinstance(value, int) and value.bit_length() > 200:  # Python refuses to write the largest
        return f"a number of {value.bit_length()} bits"
    written = repr(value)
    return written if len(written) <= 200 else f"{written[:200]}..."


def _plain(value: Any) -> Any:
    """Return a number of NumPy as one of Python's own, which files can hold; anything else as it is."""
    if isinstance(value, Integral) and not isinstance(value, int):
        return int(value)
    if isinstance(value, Real) and not isinstance(value, int | float):
        return float(value)
    return value


def _wrong(value: Any, kind: Any) -> str | None:
    """Return in words what a value must be, or None if it is valid."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        ranges = [part for part in arguments[1:] if isinstance(part, Range)]
        return _wrong_number(value, arguments[0], ranges[0]) if ranges else _wrong(value, arguments[0])
    if origin in (Union, UnionType):
        wrong = [_wrong(value, alternative) for alternative in arguments]
        return " or ".join(text for text in wrong if text) if all(wrong) else None
    if origin is Literal:
        fits = any(type(value) is type(choice) and value == choice for choice in arguments)
        return None if fits else f"one of {', '.join(str(choice) for choice in arguments)}"
    if origin is tuple:
        return _wrong_tuple(value, arguments)
    return _wrong_plain(value, kind)


def _wrong_plain(value: Any, kind: Any) -> str | None:
    if kind is None or kind is type(None):
        return None if value is None else "None"
    if kind is bool:
        return None if isinstance(value, bool) else "True or False"
    if kind in (int, float):
        return _wrong_number(value, kind, Range(-math.inf, math.inf))
    if kind is str:
        return None if isinstance(value, str) else "a string"
    if isinstance(kind, type) and kind is not object and not isinstance(value, kind):
        return f"{'an' if kind.__name__[0] in 'AEIOU' else 'a'} {kind.__name__}"
    return None


def _wrong_number(value: Any, kind: type, allowed: Range) -> str | None:
    words = allowed.in_words("a whole number" if kind is int else "a number")
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        return words
    if allowed.holds(value) and (kind is int or value == math.inf or abs(value) < 2**1023):  # a float can hold it
        return None
    return f"{words} that 32 bits can hold" if math.inf > abs(value) > LARGEST == allowed.high else words


def _wrong_tuple(value: Any, kinds: tuple[Any, ...]) -> str | None:
    if not isinstance(value, tuple):
        return "a tuple"
    each: Iterator[Any] = iter(kinds[:1] * len(value) if kinds[1:] == (...,) else kinds)
    wrong = [_wrong(_plain(item), kind) for item, kind in zip(value, each, strict=False)]
    text_of_first = next((text for text in wrong if text), None)
    return text_of_first and f"a tuple of which each is {text_of_first}"
