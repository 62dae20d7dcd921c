"""Scales: from values to places on a drawing, with round numbers beside the axis."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Number = int | float


@dataclass(frozen=True)
class Scale:
    """A straight map from values `low` to `high` onto places `start` to `stop`."""

    low: Number
    high: Number
    start: Number
    stop: Number

    def __call__(self, value: Number) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.stop - self.start), 1)


def ticks(low: Number, high: Number, count: int = 5) -> list[Number]:
    """Return about `count` round numbers from `low` to `high`: steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    raw = (high - low) / count
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= raw * 0.999)
    start, stop = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(start, stop + 1)]


def bounds(values: Sequence[Number], *, least: Number = 0.05) -> tuple[Number, Number]:
    """Return round bounds around values, `least` apart at least."""
    low, high = min(values), max(values)
    middle, half = (low + high) / 2, max(high - low, least) / 2
    steps = ticks(middle - half, middle + half)
    step = steps[1] - steps[0] if len(steps) > 1 else least
    return math.floor((middle - half) / step) * step, math.ceil((middle + half) / step) * step


def number(value: Number) -> str:
    """Write a number for people: three significant digits, thousands apart."""
    if value == 0:
        return "0"
    if not math.isfinite(value):
        return f"{value:g}"
    size = math.floor(math.log10(abs(value)))
    return f"{value:,.{max(0, 2 - size)}f}" if size >= -3 else f"{value:.2g}"


def plain(value: Number | str) -> str:
    """Write a round number as short as it can be; a level that JSON has no number for, `inf`, is a text already."""
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if math.isfinite(value) and value == int(value) else f"{value:g}"
