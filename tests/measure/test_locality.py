"""Locality: the measurement names the blocks that an objective reaches."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import nn

from onward.core import Learner, LocalBlock, Span, chunks, each, pairs, whole
from onward.measure import reached_blocks
from onward.parts.goodness import LinearHead
from onward.parts.inference import LastGoodness
from onward.parts.objectives import CrossEntropy
from onward.parts.supervision import LabelInLoss

X, Y = torch.rand(6, 5), torch.arange(6) % 3


def _learner(spans: Callable[[int], Sequence[Span]], bodies: list[nn.Module]) -> Learner:
    blocks = [LocalBlock(body, goodness=LinearHead(3, 5), objective=CrossEntropy()) for body in bodies]
    return Learner(blocks, supervision=LabelInLoss(), spans=spans(len(bodies)), rules={"last": LastGoodness()})


def _linear(count: int) -> list[nn.Module]:
    return [nn.Linear(5, 5) for _ in range(count)]


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        (each, [[0], [1], [2], [3]]),
        (whole, [[0, 1, 2, 3]]),
        (pairs, [[0, 1], [1, 2], [2, 3]]),
        (lambda n: chunks(n, 3), [[0, 1, 2], [3]]),
        (lambda n: (Span(2, 3),), [[2, 3]]),
    ],
)
def test_each_span_reaches_the_blocks_it_names(spans, expected: list[list[int]]):
    assert reached_blocks(_learner(spans, _linear(4)), X, Y) == expected


class _Leaky(nn.Module):
    """A body that sees another block's weights: what a local method must not do."""

    def __init__(self, other: nn.Linear):
        super().__init__()
        self.linear = nn.Linear(5, 5)
        self.others = [other]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x) + self.others[0].weight.sum()


def test_a_leak_into_another_block_is_seen():
    first = nn.Linear(5, 5)
    assert reached_blocks(_learner(each, [first, _Leaky(first)]), X, Y) == [[0], [0, 1]]


class _Cut(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.detach()


def test_a_block_that_is_cut_off_is_missing():
    cut = nn.Sequential(_Cut(), nn.Linear(5, 5))
    assert reached_blocks(_learner(whole, [nn.Linear(5, 5), cut]), X, Y) == [[1]]


def test_the_learner_is_left_as_it_is():
    learner = _learner(each, _linear(2))
    before = [p.detach().clone() for p in learner.parameters()]
    reached_blocks(learner, X, Y)
    assert all(torch.equal(p, q) for p, q in zip(learner.parameters(), before, strict=True))
    assert all(p.grad is None for p in learner.parameters())
