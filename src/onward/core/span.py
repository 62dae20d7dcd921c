"""Spans: which blocks one objective trains, and when. Backprop is one span, greedy local learning is one per block."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple


class Span(NamedTuple):
    """Train blocks first..last (both included) on the objective of block `last`; if deep, on all objectives inside.

    It trains from `begin` to `end`, fractions of the training's epochs, and its blocks are frozen before and after.
    """

    first: int
    last: int
    deep: bool = False
    begin: float = 0.0
    end: float = 1.0

    def window(self, epochs: int) -> range:
        """Return the epochs in which it trains, at least one of them."""
        start = min(round(self.begin * epochs), epochs - 1)
        return range(start, max(round(self.end * epochs), start + 1))

    @property
    def blocks(self) -> slice:
        return slice(self.first, self.last + 1)


Turns = tuple[tuple[Span, ...], ...]
"""The spans of one step, of the next one, and so on in turn."""


def whole(num_blocks: int, *, deep: bool = False) -> tuple[Span, ...]:
    """One span over all blocks: backpropagation; deep: of the sum of all objectives (deep supervision)."""
    return (Span(0, num_blocks - 1, deep),)


def each(num_blocks: int) -> tuple[Span, ...]:
    """One span per block: greedy, strictly local learning."""
    return tuple(Span(k, k) for k in range(num_blocks))


def pairs(num_blocks: int) -> tuple[Span, ...]:
    """Overlapping pairs (0,1), (1,2), ...: layer collaboration in a sliding window.

    Raises ValueError for fewer than two blocks.
    """
    _check_pairs(num_blocks)
    return tuple(Span(k, k + 1) for k in range(num_blocks - 1))


def alternating(num_blocks: int) -> Turns:
    """Pairs (0,1), (2,3), ... on even steps, and on odd steps block 0 alone, then (1,2), (3,4), ...

    The overlapping local updates of The Trifecta (Dooms et al. 2023): each block is in turn the top and the bottom of a
    pair. A block left over at the end waits for its turn. Raises ValueError for fewer than two blocks.
    """
    _check_pairs(num_blocks)
    even = tuple(Span(k, k + 1) for k in range(0, num_blocks - 1, 2))
    odd = tuple(Span(k, k + 1) for k in range(1, num_blocks - 1, 2))
    return even, (Span(0, 0), *odd)


def interleaved(num_blocks: int, *, first_end: float, last_end: float, last_begin: float = 0.0) -> tuple[Span, ...]:
    """One span per block, each in a window of its own: blocks stop learning one after the other, the first one first.

    Ends rise evenly from `first_end` to `last_end`, and beginnings from 0 to `last_begin`, as fractions of the
    training: the interleaved training of CwComp (Papachristodoulou et al. 2024), whose tables of epochs are uneven.
    """
    shares = [k / max(1, num_blocks - 1) for k in range(num_blocks)]
    ends = [first_end + share * (last_end - first_end) for share in shares]
    return tuple(Span(k, k, begin=shares[k] * last_begin, end=ends[k]) for k in range(num_blocks))


def chunks(num_blocks: int, size: int) -> tuple[Span, ...]:
    """Disjoint spans of `size` blocks; the last one may be shorter.

    Raises ValueError if `size` is not between 1 and the number of blocks.
    """
    if not 1 <= size <= num_blocks:
        raise ValueError(f"chunk size must be between 1 and {num_blocks} (the number of blocks), got {size}")
    return tuple(Span(k, min(k + size, num_blocks) - 1) for k in range(0, num_blocks, size))


def as_turns(spans: Sequence[Span] | Turns, num_blocks: int) -> Turns:
    """Return spans that are the same in every step as a single turn.

    Raises ValueError unless the spans of each turn go forward and stay inside the network, and for spans among turns.
    """
    plain = tuple(span for span in spans if isinstance(span, Span))
    turns = tuple(turn for turn in spans if not isinstance(turn, Span))
    if plain and turns:
        raise ValueError(f"give spans, or turns of spans, not both; {plain[0]} is among {len(turns)} turns")
    turns = turns or (plain,)
    for turn in turns:
        _check_spans(turn, num_blocks)
    return turns


def clip(turns: Turns, num_blocks: int) -> Turns:
    """Return the turns of the first `num_blocks` blocks: a span that reaches beyond them ends at the last."""
    return tuple(tuple(_clip(turn, num_blocks)) for turn in turns)


def _clip(turn: Iterable[Span], num_blocks: int) -> Iterator[Span]:
    for span in turn:
        if span.first < num_blocks:
            yield span._replace(last=min(span.last, num_blocks - 1))
        if span.last >= num_blocks - 1:
            return  # of overlapping spans, one ends at the last block


def _check_pairs(num_blocks: int) -> None:
    if num_blocks < 2:
        raise ValueError(f"pairs need at least 2 blocks, got {num_blocks}; use each() for a single block")


def _check_spans(spans: tuple[Span, ...], num_blocks: int) -> None:
    if not spans:
        raise ValueError("a learner needs at least one span; see onward.core.each and onward.core.whole")
    for span in spans:
        if not 0 <= span.first <= span.last < num_blocks:
            raise ValueError(f"{span} does not fit a network of {num_blocks} blocks")
        if not 0 <= span.begin < span.end <= 1:
            raise ValueError(f"{span} must begin before it ends, both between 0 and 1, fractions of the training")
    for moment in {0.0, *(span.end for span in spans)} - {1.0}:
        if not any(span.begin <= moment < span.end for span in spans):
            raise ValueError(f"no span trains after {moment:.0%} of the training; let one begin there, or end later")
    for before, after in pairwise(spans):
        if after.first < before.first or after.last <= before.last:
            raise ValueError(f"spans must move forward, but {after} follows {before}")
