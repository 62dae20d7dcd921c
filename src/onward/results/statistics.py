"""What several seeds show: mean, deviation and interval, and tests against a published number and against backprop."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from onward.core import Task
from onward.recipes import Published

LEVEL = 0.95  # of intervals; a test takes the rest as its risk
_EQUAL = 1e-9  # deviation below which seeds agree: far below one image, and above the rounding of a difference
Shown = Literal["met", "short", "not shown"]


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds, its standard deviation and the half width of its 95 % interval.

    Both are None with one seed. Where all seeds agree there is no half width: nothing says how far others would be.
    """

    mean: float
    deviation: float | None
    margin: float | None
    seeds: int


def estimate(values: Sequence[float]) -> Estimate:
    """Describe values of several seeds, by Student's distribution. Raises ValueError if there are none."""
    if not values:
        raise ValueError("no values to describe")
    mean, seeds = statistics.fmean(values), len(values)
    if seeds < 2:
        return Estimate(mean, None, None, seeds)
    deviation = statistics.stdev(values)
    if deviation < _EQUAL:
        return Estimate(mean, 0.0, None, seeds)
    return Estimate(mean, deviation, _quantile(0.5 + LEVEL / 2, float(seeds - 1)) * deviation / math.sqrt(seeds), seeds)


def bounds(values: Sequence[float], task: Task | None = "classes") -> tuple[float, float] | None:
    """Return the ends of the 95 % interval of a mean over seeds; None where there is none.

    It ends where no value can be: shares are from 0 to 1, R2 is at most 1.
    """
    own = estimate(values)
    if own.margin is None:
        return None
    low, high = own.mean - own.margin, own.mean + own.margin
    return low if task == "values" else max(0.0, low), min(1.0, high)


def verdict(values: Sequence[float], published: Published) -> Shown:
    """Tell whether the mean over seeds is above a published number, below it, or neither at a risk of 5 %.

    A one-sided test each way: Student's against a bare number, Welch's where that was printed with a deviation over
    trials. One seed is no evidence, nor are seeds that all agree, as two of a small test split often do. The published
    number counts as rounded: half of its last digit is allowed below it.
    """
    ours = estimate(values)
    if ours.margin is None:
        return "not shown"
    number = published.test_accuracy - 0.5 * 10.0 ** -_decimals(published.test_accuracy)
    error, freedom = _error(ours, published)
    gap = ours.mean - number
    bound = _quantile(LEVEL, freedom) * error
    if gap > 0 and gap >= bound:
        return "met"
    return "short" if gap < 0 and -gap >= bound else "not shown"


def difference(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Estimate | None:
    """Describe what one training has more than another at equal seeds, paired; None if no seed is in both."""
    both = sorted(ours.keys() & theirs.keys())
    return estimate([ours[seed] - theirs[seed] for seed in both]) if both else None


def _error(ours: Estimate, published: Published) -> tuple[float, float]:
    """Return the standard error of the gap to a published number, and its degrees of freedom."""
    assert ours.deviation is not None
    own = ours.deviation**2 / ours.seeds
    if published.deviation is None or published.seeds is None or published.seeds < 2:
        return math.sqrt(own), float(ours.seeds - 1)
    other = published.deviation**2 / published.seeds
    freedom = (own + other) ** 2 / (own**2 / (ours.seeds - 1) + other**2 / (published.seeds - 1))
    return math.sqrt(own + other), freedom


def _decimals(fraction: float) -> int:
    """Return the decimals of a fraction that was printed as a percentage, two of it at least."""
    return max(4, len(repr(round(fraction, 6)).partition(".")[2]))


def _quantile(share: float, freedom: float) -> float:
    from scipy.stats import t

    return float(t.ppf(share, freedom))
