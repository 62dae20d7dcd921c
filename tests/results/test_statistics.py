"""Statistics over seeds, against numbers worked out by other means."""

import math
from typing import Any

import pytest
from scipy import stats

from onward.recipes import Published
from onward.results.statistics import bounds, difference, estimate, verdict

OURS = (0.9958, 0.9961, 0.9964, 0.9959, 0.9968)


def test_the_interval_is_students():
    found = estimate(OURS)
    low, high = stats.t.interval(0.95, 4, loc=found.mean, scale=stats.sem(OURS))
    assert found.mean == pytest.approx(sum(OURS) / 5) and found.seeds == 5
    assert found.margin == pytest.approx((high - low) / 2)


def test_an_interval_ends_where_no_value_can_be():
    margin = stats.t.ppf(0.975, 1) * 0.005  # of two values a hundredth apart
    low, high = bounds([0.98, 0.99]) or (0, 0)
    assert high == 1.0 and low == pytest.approx(0.985 - margin, abs=1e-5)
    low, high = bounds([0.01, 0.02], "labels") or (1, 1)
    assert low == 0.0 and high == pytest.approx(0.015 + margin, abs=1e-5)
    assert bounds([0.01, 0.02], "values") == pytest.approx((0.015 - margin, 0.015 + margin), abs=1e-5)
    assert (bounds([0.98, 0.99], "values") or (0, 0))[1] == 1.0
    assert bounds([0.9]) is None and bounds([0.9, 0.9]) is None


def test_one_seed_has_neither_deviation_nor_interval():
    assert estimate([0.5]) == estimate((0.5,))
    assert (estimate([0.5]).deviation, estimate([0.5]).margin) == (None, None)
    with pytest.raises(ValueError, match="no values"):
        estimate([])


@pytest.mark.parametrize("number", [0.9950, 0.9955, 0.9958, 0.9960, 0.9962, 0.9965, 0.9966, 0.9968, 0.9975])
def test_a_bare_number_is_judged_by_students_test_each_way(number: float):
    printed = number - 0.00005  # met as it was printed
    above: Any = stats.ttest_1samp(OURS, printed, alternative="greater")
    below: Any = stats.ttest_1samp(OURS, printed, alternative="less")
    assert verdict(OURS, Published(test_accuracy=number, source="")) == _verdict(above.pvalue, below.pvalue)


@pytest.mark.parametrize("number", [0.9950, 0.9957, 0.9959, 0.9962, 0.9965, 0.9967, 0.9975])
def test_a_number_with_a_deviation_is_judged_by_welchs_test(number: float):
    deviation, trials = 0.0004, 5
    unit = (-2, -1, 0, 1, 2)
    scale = deviation / math.sqrt(sum(x * x for x in unit) / 4)
    theirs = [number - 0.00005 + scale * x for x in unit]
    above: Any = stats.ttest_ind(OURS, theirs, equal_var=False, alternative="greater")
    below: Any = stats.ttest_ind(OURS, theirs, equal_var=False, alternative="less")
    published = Published(test_accuracy=number, source="", deviation=deviation, seeds=trials)
    assert verdict(OURS, published) == _verdict(above.pvalue, below.pvalue)


def _verdict(above: float, below: float) -> str:
    return "met" if above <= 0.05 else "short" if below <= 0.05 else "not shown"


def test_the_three_verdicts_and_their_edges():
    number = Published(test_accuracy=0.9, source="")
    assert verdict([0.95], number) == "not shown"  # one seed shows nothing
    assert verdict([0.9, 0.901], number) == "not shown" and verdict([0.95, 0.951], number) == "met"
    assert verdict([0.89, 0.889], number) == "short"
    assert verdict([0.85, 0.97], number) == "not shown"


def test_seeds_that_all_agree_show_nothing_of_others():
    assert (estimate([0.9, 0.9]).deviation, estimate([0.9, 0.9]).margin) == (0.0, None)
    for published in (
        Published(test_accuracy=0.8, source=""),
        Published(test_accuracy=0.8, source="", deviation=0.0, seeds=3),
        Published(test_accuracy=0.99, source="", deviation=0.001, seeds=3),
    ):
        assert verdict([0.9, 0.9, 0.9], published) == "not shown"
    found = difference({0: 0.9957, 1: 0.9954}, {0: 0.9968, 1: 0.9965})  # equal but for rounding
    assert found is not None and found.mean == pytest.approx(-0.0011) and found.margin is None


def test_backprop_is_compared_at_equal_seeds_only():
    ours, theirs = {0: 0.90, 1: 0.92, 2: 0.94, 9: 0.1}, {0: 0.95, 1: 0.96, 2: 0.97, 7: 0.2}
    found = difference(ours, theirs)
    assert found is not None and found.seeds == 3 and found.mean == pytest.approx(-0.04)
    assert found.margin == pytest.approx(stats.t.ppf(0.975, 2) * 0.01 / math.sqrt(3))
    assert difference({0: 0.9}, {1: 0.9}) is None
