"""Spans: which blocks one objective trains. Backprop is one span, greedy local learning is one per block."""

from itertools import pairwise
from typing import NamedTuple


class Span(NamedTuple):
    """Train blocks first..last (both included) on the objective of block `last`."""

    first: int
    last: int

    @property
    def blocks(self) -> slice:
        return slice(self.first, self.last + 1)


def whole(num_blocks: int) -> tuple[Span, ...]:
    """One span over all blocks: backpropagation."""
    return (Span(0, num_blocks - 1),)


def each(num_blocks: int) -> tuple[Span, ...]:
    """One span per block: greedy, strictly local learning."""
    return tuple(Span(k, k) for k in range(num_blocks))


def pairs(num_blocks: int) -> tuple[Span, ...]:
    """Overlapping pairs (0,1), (1,2), ...: layer collaboration in a sliding window.

    Raises ValueError for fewer than two blocks.
    """
    if num_blocks < 2:
        raise ValueError(f"pairs need at least 2 blocks, got {num_blocks}; use each() for a single block")
    return tuple(Span(k, k + 1) for k in range(num_blocks - 1))


def chunks(num_blocks: int, size: int) -> tuple[Span, ...]:
    """Disjoint spans of `size` blocks; the last one may be shorter.

    Raises ValueError if `size` is not between 1 and the number of blocks.
    """
    if not 1 <= size <= num_blocks:
        raise ValueError(f"chunk size must be between 1 and {num_blocks} (the number of blocks), got {size}")
    return tuple(Span(k, min(k + size, num_blocks) - 1) for k in range(0, num_blocks, size))


def check_spans(spans: tuple[Span, ...], num_blocks: int) -> None:
    """Raise ValueError unless the spans go forward and stay inside the network."""
    if not spans:
        raise ValueError("a learner needs at least one span; see onward.core.each and onward.core.whole")
    for span in spans:
        if not 0 <= span.first <= span.last < num_blocks:
            raise ValueError(f"{span} does not fit a network of {num_blocks} blocks")
    for before, after in pairwise(spans):
        if after.first < before.first or after.last <= before.last:
            raise ValueError(f"spans must move forward, but {after} follows {before}")
