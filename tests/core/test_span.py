"""Spans: which blocks one objective trains."""

import re

import pytest
from core_toys import make_learner
from hypothesis import given
from hypothesis import strategies as st

from onward.core import Span, chunks, each, pairs, whole


def test_each_gives_every_block_its_own_span():
    assert each(3) == (Span(0, 0), Span(1, 1), Span(2, 2))


def test_whole_is_one_span_over_all_blocks():
    assert whole(5) == (Span(0, 4),)


def test_pairs_overlap_by_one_block():
    assert pairs(4) == (Span(0, 1), Span(1, 2), Span(2, 3))


def test_pairs_need_two_blocks():
    with pytest.raises(ValueError, match="at least 2 blocks, got 1"):
        pairs(1)


def test_the_last_chunk_may_be_shorter():
    assert chunks(5, 2) == (Span(0, 1), Span(2, 3), Span(4, 4))


@pytest.mark.parametrize("size", [0, 6, -1])
def test_chunk_size_must_fit_the_network(size: int):
    with pytest.raises(ValueError, match=f"between 1 and 5 .* got {size}"):
        chunks(5, size)


@given(st.integers(1, 40), st.integers(1, 40))
def test_chunks_cover_every_block_once(num_blocks: int, size: int):
    size = min(size, num_blocks)
    covered = [k for span in chunks(num_blocks, size) for k in range(num_blocks)[span.blocks]]
    assert covered == list(range(num_blocks))


def test_a_span_slices_both_of_its_ends():
    assert list(range(9))[Span(2, 4).blocks] == [2, 3, 4]


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ((), "at least one span"),
        ((Span(0, 3),), "does not fit a network of 3 blocks"),
        ((Span(-1, 0),), "does not fit a network of 3 blocks"),
        ((Span(2, 1),), "does not fit a network of 3 blocks"),
        ((Span(1, 1), Span(0, 0)), "must move forward"),
        ((Span(0, 1), Span(0, 1)), "must move forward"),
        ((Span(1, 1), Span(0, 2)), "must move forward"),
    ],
)
def test_a_learner_refuses_spans_that_do_not_fit(spans: tuple[Span, ...], message: str):
    with pytest.raises(ValueError, match=re.escape(message)):
        make_learner(lambda _: spans)
