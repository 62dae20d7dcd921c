"""The order of a stream: every image once, far enough from its neighbors, never held for longer than the buffer."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onward.data.streaming.order import LANES, stream_order


def pieces_of(size: int, count: int) -> torch.Tensor:
    return torch.arange(count).repeat_interleave(size)


@given(st.integers(1, 9), st.integers(1, 30), st.integers(1, 48), st.integers(1, 500), st.integers(0, 2**62))
def test_no_image_comes_twice_and_only_a_partial_batch_is_left_out(size, count, batch_size, buffer, seed):
    pieces = pieces_of(size, count)
    batch_size = min(batch_size, len(pieces))
    order = stream_order(pieces, batch_size=batch_size, buffer=buffer, seed=seed)
    assert order.shape == (len(pieces) // batch_size, batch_size)
    assert len(order.unique()) == order.numel()
    assert order.min() >= 0 and order.max() < len(pieces)


def test_the_seed_decides_everything():
    pieces = pieces_of(10, 40)
    one, again, other = (stream_order(pieces, batch_size=16, buffer=50, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other)


@pytest.mark.parametrize("buffer", [8, 64, 400])
def test_an_image_is_delayed_by_no_more_than_its_lane_of_the_buffer(buffer):
    pieces = pieces_of(10, 80)
    natural, mixed = (stream_order(pieces, batch_size=16, buffer=size, seed=0) for size in (1, buffer))
    before, after = (order.view(-1, LANES, 2).transpose(0, 1).reshape(LANES, -1) for order in (natural, mixed))
    assert torch.equal(pieces[before[0]].unique_consecutive().sort().values, pieces[before[0]].unique())
    for left, right in zip(before, after, strict=True):
        moved = (left[:, None] == right).nonzero()
        assert len(moved) == 100 and (moved[:, 0] - moved[:, 1]).abs().max() <= buffer / LANES
        assert torch.equal(left, right) == (buffer == 8)


def test_a_large_buffer_mixes_pieces():
    order = stream_order(pieces_of(100, 100), batch_size=40, buffer=5000, seed=0)
    assert min(len((batch // 100).unique()) for batch in order[20:-20]) > 20


def test_whoever_reads_some_places_of_all_batches_reads_other_pieces():
    pieces = pieces_of(10, 160)
    order = stream_order(pieces, batch_size=16, buffer=200, seed=3)
    halves = [set(pieces[order[:, part].flatten()].tolist()) for part in (slice(0, 8), slice(8, 16))]
    assert len(halves[0] & halves[1]) <= 1 and halves[0] | halves[1] == set(range(160))
