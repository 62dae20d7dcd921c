"""Small learners, batches and weights for the tests of the core."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from onward.core import Learner, LocalBlock, LocalTrainer, Objective, Span, Target, Turns, each
from onward.parts.goodness.linear import LinearHead
from onward.parts.inference.scores import LastGoodness
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.supervision.labels import LabelInLoss

FEATURES, WIDTH, CLASSES = 10, 12, 4


def batch(size: int = 16, *, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(size, FEATURES, generator=generator)
    return x, torch.randint(0, CLASSES, (size,), generator=generator)


def linear_body(index: int) -> nn.Module:
    return nn.Sequential(nn.Linear(WIDTH if index else FEATURES, WIDTH), nn.ReLU())


def make_learner(
    spans: Callable[[int], Sequence[Span] | Turns] = each,
    *,
    depth: int = 3,
    body: Callable[[int], nn.Module] = linear_body,
    last_objective: Objective | None = None,
    seed: int = 0,
) -> Learner:
    """A stack of bodies, each with a linear head and cross-entropy."""
    torch.manual_seed(seed)
    objectives = [*[CrossEntropy()] * (depth - 1), last_objective or CrossEntropy()]
    blocks = [LocalBlock(body(k), goodness=LinearHead(CLASSES, WIDTH), objective=objectives[k]) for k in range(depth)]
    return Learner(blocks, supervision=LabelInLoss(), spans=spans(depth), rules={"last": LastGoodness()})


def linear(block: LocalBlock) -> nn.Linear:
    """The linear layer that begins a block's body."""
    layer = block.body.get_submodule("0")
    assert isinstance(layer, nn.Linear)
    return layer


def head(block: LocalBlock) -> nn.Linear:
    """The linear layer that reads a block's goodness."""
    assert isinstance(block.goodness, LinearHead)
    return block.goodness.linear


def weights(module: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in module.parameters()]


def same(left: Sequence[Tensor], right: Sequence[Tensor]) -> bool:
    """Whether all values are equal, bit for bit."""
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


def train(trainer: LocalTrainer, steps: range) -> None:
    for step in steps:
        trainer.step(*batch(seed=step), step=step)


@dataclass(frozen=True)
class ScaledCrossEntropy(Objective):
    """Cross-entropy times a factor."""

    per_class: ClassVar[bool] = True
    signed: ClassVar[bool] = False

    factor: float

    def __call__(self, scores: Tensor, target: Target) -> Tensor:
        return self.factor * CrossEntropy()(scores, target)
