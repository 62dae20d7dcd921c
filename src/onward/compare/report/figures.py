"""Figures: what is drawn, and where each of its parts lies; the templates put it on paper."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from onward.compare.report.scale import Number, Scale, bounds, plain, ticks

_NAME = 15  # letters of a class beside a matrix


@dataclass(frozen=True)
class Look:
    """How a method is told from the others everywhere: its name, a colour, a mark, and whether it is a control."""

    label: str
    index: int
    control: bool

    @property
    def colour(self) -> str:
        return "control" if self.control else f"c{self.index % 8}"

    @property
    def mark(self) -> int:
        return self.index % 4


@dataclass(frozen=True)
class Line:
    """A curve through points (x, y); `spread` is its deviation at each point, 0 for none."""

    look: Look
    points: tuple[tuple[Number, Number], ...]
    spread: tuple[Number, ...] = ()


class LineChart:
    """Curves of fractions, drawn as percent, on one pair of axes.

    `places` are the numbers to write below the x axis with their texts; without them, round numbers. `floor` is a level
    that means nothing was learned; it is drawn if it lies on the chart. `within` are the bounds of the y axis. A
    `legend` of its own is for lines that are not methods.
    """

    template = "lines.svg"
    width, height, left, right, top, bottom = 420, 280, 44, 12, 12, 46

    def __init__(
        self,
        title: str,
        axis: str,
        lines: Sequence[Line],
        *,
        places: Sequence[tuple[Number, str]] = (),
        within: tuple[Number, Number] | None = None,
        floor: Number | None = None,
        unit: str = "test accuracy, %",
        legend: Sequence[Look] = (),
    ):
        self.legend = legend
        self.title, self.axis, self.lines, self.floor, self.unit = title, axis, lines, floor, unit
        xs = [x for line in lines for x, _ in line.points] or [0.0]
        ys = [y for line in lines for _, y in line.points] or [0.0]
        low, high = bounds(ys) if within is None else within
        low, high = max(0.0, low), min(1.0, high)
        first, last = min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1
        self.x = Scale(first, last, self.left, self.width - self.right)
        self.y = Scale(low, high, self.height - self.bottom, self.top)
        counted = all(x == int(x) for x in xs)  # there is no half epoch
        round_places = [(v, plain(v)) for v in ticks(first, last, 6) if v == int(v) or not counted]
        self.x_ticks = [(self.x(value), text) for value, text in places or round_places]
        self.y_ticks = [(self.y(value), plain(round(100 * value, 6))) for value in ticks(low, high)]
        self.floor_at = self.y(floor) if floor is not None and low < floor < high else None

    def path(self, line: Line) -> str:
        return " ".join(f"{self.x(x)},{self.y(y)}" for x, y in line.points)

    def band(self, line: Line) -> str:
        """Return the outline of a line's deviation, or nothing if it has none."""
        if not any(line.spread):
            return ""
        low, high = self.y.low, self.y.high
        upper = [(x, min(high, y + s)) for (x, y), s in zip(line.points, line.spread, strict=True)]
        lower = [(x, max(low, y - s)) for (x, y), s in zip(line.points, line.spread, strict=True)]
        return " ".join(f"{self.x(x)},{self.y(y)}" for x, y in [*upper, *reversed(lower)])

    def marks(self, line: Line) -> list[tuple[Number, Number, str]]:
        """Return places and texts of a line's points; a long curve has a mark at its end alone."""
        texts = [f"{line.look.label}: {100 * y:.2f} %" for _, y in line.points]
        if any(line.spread):
            texts = [f"{text} ± {100 * s:.2f}" for text, s in zip(texts, line.spread, strict=True)]
        found = [(self.x(x), self.y(y), text) for (x, y), text in zip(line.points, texts, strict=True)]
        return found if len(found) <= 12 else found[-1:]


@dataclass(frozen=True)
class Bar:
    """A bar of several parts, (kind, value) each, with a name above it and a text behind it."""

    look: Look
    parts: tuple[tuple[int, Number], ...]
    text: str
    note: str = ""

    @property
    def total(self) -> Number:
        return sum(value for _, value in self.parts)


def lines_of(text: str, most: int = 40) -> list[str]:
    """Break a text between words, or inside a word that is too long, into lines that stay within a figure."""
    wide = _size(text) / max(1, len(text))
    return textwrap.wrap(text, max(1, int(most / max(1, wide))), break_on_hyphens=False)


def _size(text: str) -> Number:
    """Return about how many small letters a text is as wide as; no font is known here."""
    wide = sum(0.7 * (letter in "MWmw@%") + 0.3 * letter.isupper() for letter in text)
    return 1.05 * cell_len(text) + wide  # other scripts have letters as wide as two


@dataclass(frozen=True)
class Row:
    """A row of a figure: its top, its name in lines, its note in lines, and the place of what is drawn below them."""

    top: int
    name: tuple[tuple[int, str], ...]
    note: tuple[tuple[int, str], ...]
    below: int

    @classmethod
    def of(cls, top: int, name: str, note: str = "") -> "Row":
        names, notes = lines_of(name), lines_of(note, 48)
        places = [top + 12 + 15 * k for k in range(len(names) + len(notes))]
        below = places[-1] + 7 if places else top
        return cls(
            top,
            tuple(zip(places[: len(names)], names, strict=True)),
            tuple(zip(places[len(names) :], notes, strict=True)),
            below,
        )


class BarChart:
    """Horizontal bars from 0, one below the other; `kinds` names the parts, if a bar has several."""

    template = "bars.svg"
    width, left, right, top, gap, thick = 420, 2, 112, 4, 10, 14

    def __init__(self, title: str, unit: str, bars: Sequence[Bar], *, kinds: Sequence[str] = ()):
        self.title, self.unit, self.bars, self.kinds = title, unit, bars, kinds
        self.places, at = [], self.top
        for bar in bars:
            row = Row.of(at, bar.look.label, bar.note)
            self.places.append(row)
            at = row.below + self.thick + self.gap
        self.height = at
        most = max((bar.total for bar in bars), default=0.0) or 1.0
        self.scale = Scale(0.0, most, self.left, self.width - self.right)

    def rows(self) -> list[tuple[Row, Bar, list[tuple[Number, Number, int, Number]]]]:
        """Return each bar with its place and its parts: x, width, kind and value."""
        found = []
        for place, bar in zip(self.places, self.bars, strict=True):
            x, parts = 0.0, []
            for kind, value in bar.parts:
                parts.append((self.scale(x), round(self.scale(x + value) - self.scale(x), 1), kind, value))
                x += value
            found.append((place, bar, parts))
        return found


class Matrix:
    """Counts of true classes (rows) that were taken for classes (columns), as shares of their row."""

    template = "matrix.svg"
    width, top = 420, 4

    def __init__(self, look: Look, names: Sequence[str], counts: Sequence[Sequence[int]]):
        self.look, self.names, self.title = look, names, look.label
        longest = round(8 * min(_NAME, max(map(_size, names)))) + 12
        self.left = longest
        self.cell = round((self.width - self.left - 4) / len(names), 2)
        self.height = round(self.top + self.cell * len(names) + 0.85 * longest + 10)
        self.cells = [
            (row, column, count, count / max(1, sum(line)))
            for row, line in enumerate(counts)
            for column, count in enumerate(line)
            if count
        ]

    def short(self, name: str) -> str:
        """Return a name as far as there is room for it."""
        if _size(name) <= _NAME:
            return name
        kept = max(k for k in range(len(name)) if k == 1 or _size(name[:k]) <= _NAME - 1)
        return f"{name[:kept].rstrip()}…"

    @property
    def names_fit(self) -> bool:
        return self.cell >= 9

    @property
    def numbers_fit(self) -> bool:
        return self.cell >= 24

    def strength(self, row: int, column: int, share: Number) -> Number:
        """Return how dark a cell is: mistakes are few, so small shares of them show."""
        return round(share if row == column else min(1.0, share**0.5), 3)


def worst_pairs(
    names: Sequence[str], counts: Sequence[Sequence[int]], most: int = 10
) -> list[tuple[str, str, int, Number]]:
    """Return the most frequent mistakes: true class, what it was taken for, how often, and the share of the class."""
    pairs = [
        (names[row], names[column], count, count / max(1, sum(line)))
        for row, line in enumerate(counts)
        for column, count in enumerate(line)
        if row != column and count
    ]
    return sorted(pairs, key=lambda pair: -pair[2])[:most]


class Recovery:
    """One row for each method: accuracy on a chip before and after it learned there, and off the chip."""

    template = "recovery.svg"
    width, left, right, top, gap = 420, 14, 20, 20, 12

    def __init__(self, title: str, rows: Sequence[tuple[Look, Number, Number, Number, str]]):
        self.title = title
        places, at = [], self.top - 10
        for look, _, _, _, text in rows:
            places.append(Row.of(at, look.label, text))
            at = places[-1].below + 20 + self.gap
        self.height = at + 34
        low, _ = bounds([value for _, *values, _ in rows for value in values])
        x = Scale(max(0.0, low), 1.0, self.left, self.width - self.right)
        self.ticks = [(x(value), plain(round(100 * value, 6))) for value in ticks(x.low, x.high)]
        self.rows = [
            (place, look, x(met), x(recovered), x(clean))
            for place, (look, met, recovered, clean, _) in zip(places, rows, strict=True)
        ]
