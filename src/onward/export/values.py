"""Values of a traced program: the expression of an element, and the arrays that it reads."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

Index = tuple[str, ...]
"""The index of an element: an expression for each axis."""


@dataclass(frozen=True)
class Value:
    """A tensor of a program: `at` gives the expression of an element; `cheap`: whether it may be computed repeatedly.

    `array` names the array with exactly this content, if there is one.
    """

    shape: tuple[int, ...]
    at: Callable[[Index], str]
    reads: frozenset[str] = frozenset()
    cheap: bool = False
    array: str | None = None

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def moved(self, shape: Sequence[int], index: Callable[[Index], Index]) -> "Value":
        """Return a view whose element `i` is element `index(i)` of this value."""
        return Value(tuple(shape), lambda i: self.at(index(i)), self.reads, self.cheap)

    def broadcast(self, shape: Sequence[int]) -> "Value":
        """Return the value repeated along axes of length 1 and new axes in front."""
        if tuple(shape) == self.shape:
            return self
        skipped = len(shape) - len(self.shape)
        own = self.shape
        return self.moved(shape, lambda i: tuple("0" if n == 1 else e for e, n in zip(i[skipped:], own, strict=True)))


def held(name: str, shape: Sequence[int]) -> Value:
    """Return the value of an array."""
    shape = tuple(shape)
    return Value(shape, lambda i: f"{name}[{linear(i, shape)}]", frozenset({name}), cheap=True, array=name)


def constant(text: str, shape: Sequence[int]) -> Value:
    return Value(tuple(shape), lambda _: text, cheap=True)


def linear(index: Index, shape: Sequence[int]) -> str:
    """Return the position of an element in an array of that shape."""
    position = "0"
    for expression, length in zip(index, shape, strict=True):
        position = plus(times(position, length), expression)
    return position


def plus(a: str, b: str | int) -> str:
    b = str(b)
    if a == "0" or b == "0":
        return b if a == "0" else a
    return str(int(a) + int(b)) if _number(a) and _number(b) else f"{a} + {b}".replace("+ -", "- ")


def times(a: str, factor: int) -> str:
    if a == "0" or factor == 0:
        return "0"
    if factor == 1:
        return a
    return str(int(a) * factor) if _number(a) else f"({a}) * {factor}" if " " in a else f"{a} * {factor}"


def _number(text: str) -> bool:
    return text.lstrip("-").isdigit()


@dataclass
class Statement:
    """Loops that write some arrays and read others."""

    lines: list[str]
    reads: frozenset[str]
    writes: frozenset[str]


@dataclass
class Arena:
    """Memory that temporary arrays share; `offsets` and `size` are in numbers of four bytes."""

    offsets: dict[str, int] = field(default_factory=dict)
    size: int = 0


def arrange(statements: Sequence[Statement], sizes: dict[str, int]) -> Arena:
    """Give every temporary array the first offset at which it overlaps no other array that is in use."""
    first, last = {}, {}
    for number, statement in enumerate(statements):
        for name in statement.reads | statement.writes:
            first.setdefault(name, number)
            last[name] = number
    arena, arranged = Arena(), []
    for name in sorted((n for n in sizes if n in first), key=lambda n: (-sizes[n], first[n])):
        taken = sorted(
            (arena.offsets[other], arena.offsets[other] + sizes[other])
            for other in arranged
            if first[other] <= last[name] and first[name] <= last[other]
        )
        offset = 0
        for begin, end in taken:
            if offset + sizes[name] <= begin:
                break
            offset = max(offset, end)
        arena.offsets[name] = offset
        arena.size = max(arena.size, offset + sizes[name])
        arranged.append(name)
    return arena
