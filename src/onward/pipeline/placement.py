"""Placement: the blocks of each stage of a pipeline, chosen for a fast slowest stage and few bytes sent."""

from collections.abc import Sequence
from itertools import accumulate, pairwise

from onward.core import Turns

Stages = tuple[range, ...]
"""The blocks of each stage, in order; together they are all blocks."""


def possible_cuts(turns: Turns, num_blocks: int) -> tuple[int, ...]:
    """Return the blocks that a stage may begin with, other than the first, so that every stage has a span to train.

    No span crosses them. If spans train in different windows of epochs there are none: stages would be idle outside of
    their windows.
    """
    spans = {span for turn in turns for span in turn}
    if any(span.begin > 0 or span.end < 1 for span in spans):
        return ()
    inside = {k for span in spans for k in range(span.first + 1, span.last + 1)}
    earliest = min(span.last for span in spans)
    begun = {span.first for span in spans if span.first > earliest}
    return tuple(k for k in range(1, num_blocks) if k in begun - inside)


def place(
    costs: Sequence[float], sent: Sequence[float | int], cuts: Sequence[int], stages: int, *, slack: float = 0.02
) -> Stages:
    """Return the contiguous placement whose slowest stage is fastest; of nearly equal ones, the one that sends least.

    `costs[k]` is the cost of a step of block k, `sent[k]` the bytes sent per step if a stage begins with block k. Two
    dynamic programs: the first finds the best slowest stage, the second the least that is sent while no stage is
    slower than that by more than `slack`, a share of it. Raises ValueError if there are too few cuts.
    """
    check_stages(stages, cuts)
    borders, totals = [0, *cuts, len(costs)], [0.0, *accumulate(costs)]

    def cost(first: int, stop: int) -> float:
        return totals[stop] - totals[first]

    best = _chain(borders, stages, lambda so_far, first, stop: max(so_far, cost(first, stop)))
    limit = best[0] * (1 + slack) + 1e-12

    def traffic(so_far: float, first: int, stop: int) -> float:
        return so_far + (sent[first] if first else 0.0) if cost(first, stop) <= limit else float("inf")

    _, path = _chain(borders, stages, traffic)
    return tuple(range(first, stop) for first, stop in pairwise(path))


def stages_of(sizes: Sequence[int], cuts: Sequence[int], num_blocks: int) -> Stages:
    """Return the placement that gives each stage so many blocks. Raises ValueError if it cannot be."""
    borders = [0, *accumulate(sizes)]
    if min(sizes, default=0) < 1 or borders[-1] != num_blocks:
        raise ValueError(f"--stages {' '.join(map(str, sizes))} must be positive and add up to {num_blocks} blocks")
    for border in borders[1:-1]:
        if border not in cuts:
            raise ValueError(f"--stages cannot cut before block {border}: a span reaches across; {_allowed_cuts(cuts)}")
    return tuple(range(first, stop) for first, stop in pairwise(borders))


def check_stages(stages: int, cuts: Sequence[int]) -> None:
    """Raise ValueError if a network cannot be cut into so many stages."""
    if stages < 1:
        raise ValueError(f"a pipeline needs at least one stage, got {stages}")
    if stages > len(cuts) + 1:
        raise ValueError(
            f"this learner cannot be cut into {stages} stages, at most {len(cuts) + 1}: a span must not reach across a "
            f"cut, as no gradient is sent, nor train in a window of its own; {_allowed_cuts(cuts)}. Start fewer "
            "processes, or choose spans that do not overlap and train all the time"
        )


def _allowed_cuts(cuts: Sequence[int]) -> str:
    return f"a stage may begin with block {', '.join(map(str, cuts))}" if cuts else "its spans leave no possible cut"


def _chain(borders: Sequence[int], stages: int, extend) -> tuple[float, list[int]]:
    """Return the least value of `stages` stages between borders, and the borders chosen; `extend` adds a stage."""
    best: dict[int, tuple[float, list[int]]] = {0: (0.0, [0])}
    for _ in range(stages):
        reached: dict[int, tuple[float, list[int]]] = {}
        for first, (value, path) in best.items():
            for stop in (border for border in borders if border > first):
                candidate = extend(value, first, stop)
                if stop not in reached or candidate < reached[stop][0]:
                    reached[stop] = (candidate, [*path, stop])
        best = reached
    return best[borders[-1]]
