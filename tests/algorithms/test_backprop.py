"""Backprop as a control: what it keeps of a method is what the method's own parts tell, whoever wrote them."""
# B batch, C classes, D features

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from onward.algorithms import Backprop, PredSim
from onward.algorithms.algorithm import Algorithm
from onward.core import Goodness, Learner, LocalBlock, each
from onward.nets import MLP
from onward.nets.net import Net
from onward.parts.goodness.linear import LinearHead
from onward.parts.goodness.means import ClassMean
from onward.parts.inference.scores import HeadGoodness, LastGoodness
from onward.parts.inference.views import Mirrored
from onward.parts.objective.class_scores import CrossEntropy, SoftmaxTwice
from onward.parts.objective.weighted import Weighted
from onward.parts.supervision.labels import LabelInLoss


class _Signs(nn.Module):
    """A body whose activity is the sign of another's: no gradient gets through."""

    def __init__(self, body: nn.Module):
        super().__init__()
        self.inner = body

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x).sign()

    def exact(self) -> nn.Module:
        return self.inner


class _OwnHead(Goodness):
    """A classifier from outside the house, under a name that backprop has never met."""

    per_class: ClassVar[bool] = True

    def __init__(self, num_classes: int, width: int):
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(width, num_classes))

    def forward(self, activity: Tensor) -> Tensor:
        return activity @ self.matrix


@dataclass(frozen=True)
class _Foreign(Algorithm):
    """Signs, a head of its own and a weighted, smoothed cross-entropy, read with mirror images."""

    def __call__(self, net: Net, num_classes: int) -> Learner:
        """Fill the slots of a network."""
        blocks = [
            LocalBlock(
                nn.Sequential(_Signs(body)),
                goodness=_OwnHead(num_classes, width),
                objective=Weighted(CrossEntropy(0.2), 3.0),
            )
            for body, width in zip(net.bodies, net.widths, strict=True)
        ]
        own, smoothed = _OwnHead(num_classes, net.widths[-1]), Weighted(CrossEntropy(0.2), 3.0)
        blocks.append(LocalBlock(nn.Identity(), goodness=own, objective=smoothed, head=True))
        rules = {"last": Mirrored(LastGoodness())}
        return Learner(blocks, supervision=LabelInLoss(), spans=each(len(blocks)), rules=rules)


def _control(of: Algorithm) -> Learner:
    torch.manual_seed(0)
    return Backprop(of=of)(MLP(width=12, depth=2)((1, 4, 4), 3), 3)


def test_a_method_from_outside_has_its_control_without_a_word_in_backprop():
    learner = _control(_Foreign())
    last = learner.blocks[-1]
    assert isinstance(last.goodness, _OwnHead)
    assert last.objective == CrossEntropy(0.2)
    assert isinstance(learner.rules[learner.default_rule], Mirrored)
    assert not any(isinstance(module, _Signs) for module in learner.modules())


@pytest.mark.parametrize(
    ("goodness", "head"), [(LinearHead(3, 8), True), (LinearHead(3, 8), False), (ClassMean(3, 9), True)]
)
def test_a_learner_ends_in_a_head_or_not(goodness: Goodness, head: bool):
    block = LocalBlock(nn.Identity(), goodness=goodness, objective=CrossEntropy(), head=head)
    learner = Learner([block], supervision=LabelInLoss(), spans=each(1), rules={"last": HeadGoodness()})
    assert learner.head is (goodness if head else None) and learner.num_heads == head


def test_cross_entropy_is_found_inside_a_weight_and_nowhere_else():
    smoothed = CrossEntropy(0.1)
    assert smoothed.cross_entropy() is smoothed
    assert Weighted(Weighted(smoothed, 2.0), 0.5).cross_entropy() is smoothed
    assert SoftmaxTwice().cross_entropy() is None


def test_a_read_out_of_a_grid_gives_way_to_a_linear_head():
    last = _control(PredSim(label_smoothing=0.1)).blocks[-1]
    assert isinstance(last.goodness, LinearHead)
    assert last.objective == CrossEntropy(0.1)
