"""Locality: the measurement names the blocks that an objective reaches."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import nn

from onward.core import Auxiliary, Learner, LocalBlock, Span, Target, chunks, each, pairs, whole
from onward.measure import Locality, locality_of, reached_blocks
from onward.parts.goodness.linear import LinearHead
from onward.parts.inference.scores import LastGoodness
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.supervision.labels import LabelInLoss

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


@pytest.mark.parametrize(
    ("spans", "expected", "words"),
    [
        (each, Locality(1, 1, 4), "one layer"),
        (pairs, Locality(2, 2, 4), "two layers"),
        (lambda n: chunks(n, 3), Locality(3, 3, 4), "3 layers"),
        (whole, Locality(4, 4, 4), "all"),
        (lambda n: whole(n, deep=True), Locality(4, 4, 4), "all"),
    ],
)
def test_locality_is_that_of_the_farthest_objective(spans, expected: Locality, words: str):
    found = locality_of(_learner(spans, _linear(4)), X, Y)
    assert found == expected
    assert str(found) == words


def test_a_leak_makes_two_layers():
    first = nn.Linear(5, 5)
    found = locality_of(_learner(each, [first, _Leaky(first), nn.Linear(5, 5)]), X, Y)
    assert str(found) == "two layers"


def test_layers_of_one_block_are_told():
    bodies = [nn.Sequential(*_linear(3)), nn.Linear(5, 5)]
    assert str(locality_of(_learner(each, list(bodies)), X, Y)) == "one block of 3 layers"


class _Sum(nn.Module):
    """Two matrices side by side, as in a layer that looks down and up."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(5, 5), nn.Linear(5, 5, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.left(x) + self.right(x)).relu()


def test_matrices_that_add_up_are_one_layer():
    assert locality_of(_learner(each, [_Sum(), _Sum()]), X, Y) == Locality(1, 1, 2)
    assert locality_of(_learner(whole, [_Sum(), _Sum()]), X, Y) == Locality(2, 2, 2)


def test_read_outs_of_frozen_layers_reach_none():
    frozen = [layer.requires_grad_(False) for layer in _linear(2)]
    found = locality_of(_learner(each, list(frozen)), X, Y)
    assert found == Locality(0, 0, 0)
    assert str(found) == "read-outs alone"


class _Hidden(Auxiliary):
    def __init__(self, trained: bool):
        super().__init__()
        self.project = nn.Linear(5, 7).requires_grad_(trained)

    def forward(self, activity: torch.Tensor, target: Target) -> torch.Tensor:
        return self.project(activity).square().mean(dim=1)


@pytest.mark.parametrize(("trained", "words"), [(True, "one layer, auxiliary network"), (False, "one layer")])
def test_a_trained_auxiliary_is_told(trained: bool, words: str):
    learner = _learner(each, _linear(2))
    learner.blocks[0].auxiliary = _Hidden(trained)
    assert str(locality_of(learner, X, Y)) == words


def test_a_hidden_layer_before_the_scores_is_an_auxiliary_network():
    learner = _learner(each, _linear(2))
    head = LinearHead(3, 5)
    head.add_module("linear", nn.Sequential(nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 3)))
    learner.blocks[1].goodness = head
    assert str(locality_of(learner, X, Y)) == "one layer, auxiliary network"


def test_measuring_locality_leaves_the_learner_as_it_is():
    learner = _learner(pairs, _linear(3))
    before = [p.detach().clone() for p in learner.parameters()]
    locality_of(learner, X, Y)
    assert all(torch.equal(p, q) and p.grad is None for p, q in zip(learner.parameters(), before, strict=True))
    assert "loss" not in vars(learner.blocks[0])


class _Named(nn.Module):
    """A linear layer whose matrix has a name of its own."""

    def __init__(self):
        super().__init__()
        self.W = nn.Parameter(torch.randn(5, 5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.W


class _Recurrent(nn.Module):
    """Reads five numbers one after another."""

    def __init__(self, kind: type[nn.GRU] | type[nn.LSTM]):
        super().__init__()
        self.inner = kind(input_size=1, hidden_size=5, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x[:, :, None])[0][:, -1]


class _Masked(nn.Linear):
    """A linear layer with some of its weights left out."""

    def __init__(self):
        super().__init__(5, 5)
        self.mask: torch.Tensor
        self.register_buffer("mask", (torch.rand(5, 5) > 0.2).float())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, self.weight * self.mask / self.weight.norm(), self.bias)


class _Placed(nn.Module):
    """A linear layer behind a learned number for each place, which is no layer."""

    def __init__(self):
        super().__init__()
        self.linear, self.place = nn.Linear(5, 5), nn.Parameter(torch.zeros(2, 5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x + self.place.repeat(len(x) // 2, 1))


_KINDS = {
    "a name of its own": _Named,
    "weight norm": lambda: nn.utils.parametrizations.weight_norm(nn.Linear(5, 5)),
    "spectral norm": lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(5, 5)),
    "spectral norm by a hook": lambda: nn.utils.spectral_norm(nn.Linear(5, 5)),
    "mask": _Masked,
    "GRU": lambda: _Recurrent(nn.GRU),
    "LSTM": lambda: _Recurrent(nn.LSTM),
    "places": _Placed,
}


@pytest.mark.parametrize("kind", _KINDS)
def test_a_layer_is_told_whatever_its_weight_is_called(kind: str):
    bodies = [_KINDS[kind]() for _ in range(3)]
    for spans, words, layers in ((each, "one layer", 1), (pairs, "two layers", 2), (whole, "all", 3)):
        found = locality_of(_learner(spans, list(bodies)), X, Y)
        assert (str(found), found.layers, found.network) == (words, layers, 3)


def test_a_leak_through_a_closure_is_seen():
    learner = _learner(each, _linear(2))
    below = learner.blocks[0].body

    class TopDown(Auxiliary):
        def forward(self, activity: torch.Tensor, target: Target) -> torch.Tensor:
            return next(below.parameters()).square().sum().expand(1)

    learner.blocks[1].auxiliary = TopDown()
    assert reached_blocks(learner, X, Y) == [[0], [0, 1]]
    assert str(locality_of(learner, X, Y)) == "all"
    assert all(p.grad is None for p in learner.parameters())
