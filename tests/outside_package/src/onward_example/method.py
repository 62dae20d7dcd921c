"""Centered: every block has a learned center per class; the nearest one is the class. An example, not published."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from onward.algorithms import Algorithm
from onward.core import Goodness, Learner, LocalBlock, each
from onward.nets import Net
from onward.parts.handoff.norms import Handoff, SampleNorm
from onward.parts.inference.scores import LastGoodness, SumGoodness
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.ops.activity import map_mean, widen
from onward.parts.supervision.labels import LabelInLoss


class Nearness(Goodness):
    """One score per class: minus the squared distance to a learned center, the mean over features."""

    per_class = True

    def __init__(self, num_classes: int, channels: int):
        super().__init__()
        self.centers = nn.Parameter(torch.randn(num_classes, channels))

    def forward(self, activity: Tensor) -> Tensor:
        features = widen(map_mean(activity))
        return -(features[:, None] - self.centers).square().mean(dim=2)


@dataclass(frozen=True)
class Centered(Algorithm):
    """A learned center per class in every block."""

    temperature: float = 0.1
    """What distances are divided by in the loss."""

    def __call__(self, net: Net, num_classes: int) -> Learner:
        blocks = [
            LocalBlock(
                body,
                goodness=Nearness(num_classes, width),
                objective=CrossEntropy(temperature=self.temperature),
                handoff=Handoff(SampleNorm(), join, pool),
            )
            for body, join, width, pool in zip(*net, strict=True)
        ]
        rules = {"all_blocks": SumGoodness(), "last_block": LastGoodness()}
        return Learner(blocks, supervision=LabelInLoss(), spans=each(len(blocks)), rules=rules)
