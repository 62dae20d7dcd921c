"""How results over seeds, and published numbers beside them, are written on every page and screen."""

import statistics
from collections.abc import Sequence

from onward.core import Task
from onward.recipes import Published
from onward.results.statistics import bounds, estimate, verdict
from onward.screen import gap_in_points, in_percent


def spread(values: Sequence[float], task: Task | None = "classes") -> str:
    """Write fractions as a percentage, R2 as it is, with the deviation over seeds, where there are several."""
    value = estimate(values)
    return _with_deviation(task, value.mean, value.deviation)


def interval(values: Sequence[float], task: Task | None = "classes") -> str:
    """Write the 95 % interval of the mean over seeds as percentages, of R2 as it is; nothing where there is none."""
    ends = bounds(values, task)
    return "" if ends is None else f"{in_percent(task, ends[0])} to {size(task, ends[1])}"


def published_number(published: Published, task: Task | None = "classes") -> str:
    """Write a published number as `spread` writes one of ours, with its deviation where that is known."""
    return _with_deviation(task, published.test_accuracy, published.deviation)


def beside_published(
    values: Sequence[float], published: Published, task: Task | None = "classes", note: str = ""
) -> str:
    """Write whether the mean over seeds is met or short of a published number, and the gap in points, of R2 as it is.

    A published number was read on the public test split: on a copy of the images, which has a `note`, nothing is shown.
    """
    shown = "not shown" if note else verdict(values, published)
    return f"{shown}, {gap_in_points(task, statistics.fmean(values) - published.test_accuracy)}"


def size(task: Task | None, value: float) -> str:
    """Write a number in the unit of results, without its name."""
    return in_percent(task, value).removeprefix("R2 ")


def _with_deviation(task: Task | None, mean: float, deviation: float | None) -> str:
    return in_percent(task, mean) + ("" if deviation is None else f" ± {size(task, deviation)}")
