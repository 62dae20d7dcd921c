"""Placement against trying every one; cuts against the meaning of a span."""

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.core import Span, alternating, chunks, each, interleaved, pairs, whole
from onward.core.span import as_turns
from onward.pipeline import place, possible_cuts, stages_of

_numbers = st.floats(0.1, 10.0)


def _every_placement(cuts: tuple[int, ...], blocks: int, stages: int):
    for chosen in combinations(cuts, stages - 1):
        borders = [0, *chosen, blocks]
        yield tuple(range(a, b) for a, b in pairwise(borders))


@given(st.data(), st.integers(2, 9), st.integers(1, 5))
def test_no_other_placement_is_faster_or_sends_less_at_nearly_the_same_speed(data, blocks: int, stages: int):
    stages = min(stages, blocks)
    costs = data.draw(st.lists(_numbers, min_size=blocks, max_size=blocks))
    sent = data.draw(st.lists(_numbers, min_size=blocks, max_size=blocks))
    cuts = tuple(range(1, blocks))
    every = list(_every_placement(cuts, blocks, stages))

    def slowest(placement) -> float:
        return max(sum(costs[k] for k in stage) for stage in placement)

    best = min(map(slowest, every))
    allowed = [placement for placement in every if slowest(placement) <= 1.05 * best + 1e-9]
    found = place(costs, sent, cuts, stages, slack=0.05)
    assert found in every and slowest(found) <= 1.05 * best + 1e-9
    least = min(sum(sent[stage.start] for stage in placement[1:]) for placement in allowed)
    assert sum(sent[stage.start] for stage in found[1:]) == pytest.approx(least)


def test_a_cut_lies_where_no_span_reaches_across():
    assert possible_cuts(as_turns(each(4), 4), 4) == (1, 2, 3)
    assert possible_cuts(as_turns(chunks(5, 2), 5), 5) == (2, 4)
    assert possible_cuts(as_turns(whole(4), 4), 4) == ()
    assert possible_cuts(as_turns(pairs(4), 4), 4) == ()
    assert possible_cuts(alternating(4), 4) == ()


def test_an_odd_cut_through_a_skip_connection_is_avoided_where_it_sends_twice_as_much():
    sent = [0.0, 2.0, 1.0, 2.0]  # between odd and even layers a skip connection travels besides
    assert place([1.0, 1.0, 1.0, 1.0], sent, (1, 2, 3), 2) == (range(0, 2), range(2, 4))
    assert place([1.0, 1.01, 1.0, 1.0, 1.0, 1.0], [0, 2.0, 1.0, 2.0, 1.0, 2.0], (1, 2, 3, 4, 5), 2, slack=0.5) == (
        range(0, 2),
        range(2, 6),
    )


@pytest.mark.parametrize(
    ("sizes", "complaint"),
    [((2, 1), "add up to 4 blocks"), ((0, 4), "must be positive"), ((1, 3), "cannot cut before block 1")],
)
def test_impossible_stages_are_refused(sizes, complaint: str):
    with pytest.raises(ValueError, match=complaint):
        stages_of(sizes, (2,), 4)


def test_too_many_stages_are_refused_with_the_cuts_that_exist():
    with pytest.raises(ValueError, match=r"into 4 stages, at most 3: .* a stage may begin with block 2, 4"):
        place([1.0] * 5, [1.0] * 5, (2, 4), 4)
    with pytest.raises(ValueError, match="its spans leave no possible cut"):
        place([1.0] * 5, [1.0] * 5, (), 2)


def test_every_stage_has_something_to_train():
    assert possible_cuts(((Span(3, 3),),), 4) == ()
    assert possible_cuts(((Span(1, 1), Span(3, 3)),), 5) == (3,)


def test_windows_leave_no_place_to_cut():
    assert possible_cuts(as_turns(interleaved(4, first_end=0.5, last_end=1.0), 4), 4) == ()
