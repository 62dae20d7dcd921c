"""Numbers for readers: as short as possible, and fractions as percentages."""

import math

from onward.compare.comparison import Spread, UnderNoise
from onward.core import Task
from onward.core.metrics import MEASURES

Number = int | float


def number(value: Number) -> str:
    """Return a number for readers: three significant digits, thousands apart."""
    if value == 0:
        return "0"
    if not math.isfinite(value):
        return f"{value:g}"
    size = math.floor(math.log10(abs(value)))
    return f"{value:,.{max(0, 2 - size)}f}" if size >= -3 else f"{value:.2g}"


def plain(value: Number | str) -> str:
    """Return a round number as short as possible; a level that JSON has no number for, `inf`, is a text already."""
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if math.isfinite(value) and value == int(value) else f"{value:g}"


def percent(value: float | None) -> str:
    """Write a fraction as a percentage."""
    return "–" if value is None else f"{100 * value:.2f}"


def unit_of(task: Task) -> str:
    """Return the metric of a task with its unit: `accuracy, %`, `exact match, %`, or `R2`."""
    return MEASURES[task] + ("" if task == "values" else ", %")


def reached(value: float | None, task: Task) -> str:
    """Write a value of a task's metric without its unit: a percentage, or R2."""
    return f"{value:.4f}" if task == "values" and value is not None else percent(value)


def spread(row: Spread | UnderNoise, task: Task = "classes") -> str:
    """Write mean and deviation over chips (over seeds where chips do not differ) in percent, or as R2."""
    deviation = row.chip_deviation if row.chip_deviation is not None else row.seed_deviation
    return reached(row.mean, task) + ("" if deviation is None else f" ± {reached(deviation, task)}")
