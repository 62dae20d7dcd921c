"""Mono-Forward (Gong, Li, Abdulla; arXiv 2501.09238), a RECONSTRUCTION: every layer learns a projection to the classes.

From the abstract and readers' notes. Goodness: G = a M^T, with a matrix M per layer. Objective: softmax
cross-entropy, whose gradient trains M and the layer together. Handoff: the activity, pooled, as it is. One pass; no
negative data. It is the loss `pred` of local error signals (2019) without bias.

Inferred, not read: the grid in which maps are averaged, that all layers learn at once, optimizer and schedule.
"""

from dataclasses import dataclass

from torch import nn

from onward.algorithms.algorithm import Algorithm
from onward.core import Count, Learner, LocalBlock, each
from onward.nets.net import Net
from onward.parts.goodness.linear import LinearHead, grid_within
from onward.parts.handoff.norms import Handoff
from onward.parts.inference.scores import LastGoodness, SumGoodness
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.supervision.labels import LabelInLoss


@dataclass(frozen=True)
class MonoForward(Algorithm):
    """A learned projection to the classes and cross-entropy per layer: a reconstruction (Gong et al. 2025)."""

    features: Count = 4096
    """Largest number of input features of a layer's projection."""

    def __call__(self, net: Net, num_classes: int) -> Learner:
        """Fill the slots of a network. Raises ValueError for a projection without inputs."""
        blocks = [
            LocalBlock(
                body,
                goodness=LinearHead(num_classes, width, cells=grid_within(body, width, self.features), bias=False),
                objective=CrossEntropy(),
                handoff=Handoff(nn.Identity(), join, pool),
            )
            for body, join, width, pool in zip(*net, strict=True)
        ]
        return Learner(
            blocks,
            supervision=LabelInLoss(),
            spans=each(len(blocks)),
            rules={"all_blocks": SumGoodness(), "last_block": LastGoodness()},
        )
