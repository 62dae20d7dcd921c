"""FFGAF-SNN (arXiv 2507.23643), a RECONSTRUCTION: spiking layers that learn with no surrogate gradient.

From the abstract alone. Body: a layer of leaky integrate-and-fire neurons over several time steps. Goodness: a learned
projection of the neurons' potentials before the threshold, whose gradient is exact: none passes the spiking
non-linearity. Objective: cross-entropy with a larger margin for hard classes. Handoff: the spikes, pooled. One pass; no
negative data.

Inferred, not read: potential as what goodness reads, the projection, the form of the class-aware loss, the coding.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from torch import nn

from onward.algorithms.algorithm import Algorithm
from onward.core import Count, Learner, LocalBlock, NonNegative, Positive, Range, Share, each
from onward.nets.dropout import Dropout
from onward.nets.net import Net
from onward.nets.relu_dropout import ReluDropout
from onward.parts.body.spiking import ClassDifficulty, Coding, EachStep, OfPotential, SpikesOnly, SpikingLayer
from onward.parts.goodness.linear import LinearHead, grid_within
from onward.parts.handoff.norms import Handoff
from onward.parts.inference.scores import BestRange, LastGoodness, SumGoodness
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.supervision.labels import LabelInLoss


@dataclass(frozen=True)
class FFGAFSNN(Algorithm):
    """Spiking layers, goodness of their potentials, exact gradients: a reconstruction (2025)."""

    standardize: ClassVar[bool] = False  # pixels in [0, 1] are turned into spikes
    passes_gradients: ClassVar[bool] = False

    steps: Annotated[int, Range(1, 1000)] = 8
    """Time steps for which an image is presented."""
    leak: Share = 0.9
    """Share of the potential that remains after a step."""
    threshold: Positive = 1.0
    """Potential at which a neuron spikes."""
    coding: Coding = "rate"
    """Whether bright pixels spike more often, or earlier."""
    features: Count = 1024
    """Largest number of input features of a layer's projection."""
    difficulty: NonNegative = 1.0
    """Largest reduction of the training scores of a class that is often missed; 0: all classes alike."""

    def __call__(self, net: Net, num_classes: int) -> Learner:
        """Fill the slots. Raises ValueError for batch norm in a body, or impossible sizes."""
        blocks = []
        for k, (body, join, width, pool) in enumerate(zip(*net, strict=True)):
            cells = grid_within(body, width, self.features)
            read = LinearHead(num_classes, width, cells=cells, bias=False)
            block = LocalBlock(
                self._spiking(body, first=k == 0),
                goodness=ClassDifficulty(OfPotential(read), num_classes, strength=self.difficulty),
                objective=CrossEntropy(),
                handoff=Handoff(SpikesOnly(pool), EachStep(join)),
            )
            blocks.append(block)
        rules = {"best_range": BestRange(), "all_blocks": SumGoodness(), "last_block": LastGoodness()}
        return Learner(blocks, supervision=LabelInLoss(), spans=each(len(blocks)), rules=rules)

    def _spiking(self, body: nn.Module, *, first: bool) -> SpikingLayer:
        body = without_relu(body)
        how = self.coding if first else None  # images are turned into spikes once
        return SpikingLayer(body, steps=self.steps, leak=self.leak, threshold=self.threshold, coding=how)


def without_relu(body: nn.Module) -> nn.Module:
    """Remove rectifiers from a body, in place, and keep dropout: neurons have a threshold instead."""
    if isinstance(body, ReluDropout):
        return Dropout(body.p)
    if isinstance(body, nn.ReLU):
        return nn.Identity()
    for name, child in body.named_children():
        setattr(body, name, without_relu(child))
    return body
