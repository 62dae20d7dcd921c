"""Pieces of a batch: written into their places as they come, one tensor where a stream has one."""

import pytest
import torch

from onward.core import Target
from onward.core.update import _Joined


def _targets(sizes: list[int], views: int) -> tuple[Target, list[Target]]:
    parts = [Target(torch.zeros(size * views, dtype=torch.int64), None, views) for size in sizes]
    return Target(torch.zeros(sum(sizes) * views, dtype=torch.int64), None, views), parts


@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_pieces_find_their_places(views: int, memory_format: torch.memory_format):
    rows = torch.rand(5 * views, 2, 4, 4).contiguous(memory_format=memory_format)
    whole, parts = _targets([2, 2, 1], views)
    joined = _Joined(whole)
    for start, part in zip((0, 2, 4), parts, strict=True):
        size = len(part.label) // views
        piece = torch.cat([rows[view * 5 + start : view * 5 + start + size] for view in range(views)])
        joined.add((piece, piece.flatten(1).sum(dim=1)), part)
    assert torch.equal(joined.stream[0], rows)
    assert joined.stream[0].is_contiguous(memory_format=memory_format)
    assert torch.allclose(joined.stream[1], rows.flatten(1).sum(dim=1))


def test_the_start_of_a_skip_connection_stays_one_tensor():
    whole, parts = _targets([2, 2], 1)
    joined = _Joined(whole)
    for part in parts:
        fresh = torch.rand(2, 3)
        joined.add((fresh.detach(), fresh.detach(), fresh * 2), part)
    first, skip, other = joined.stream
    assert first.data_ptr() == skip.data_ptr() != other.data_ptr()
    assert torch.equal(other, first * 2)


def test_a_batch_in_one_piece_is_passed_on_as_it_is():
    whole, _ = _targets([4], 1)
    joined = _Joined(whole)
    stream = (torch.rand(4, 3),)
    joined.add(stream, whole)
    assert joined.stream[0] is stream[0]
