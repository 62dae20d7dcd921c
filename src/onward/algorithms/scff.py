"""SCFF, self-contrastive Forward-Forward (Chen et al., Nature Communications 2025): an image with itself or another.

Goodness: mean of the squared activity. Objective: a threshold for real and one for contrastive views, and a decay. The
real view is an image paired with itself, the contrastive one an image paired with another; no label is used.
Handoff: unit length. The class is read by a linear softmax classifier on what the layers hand on, each feature
standardized.

Differs from the released code: pairs are averaged, to which its shared weights are equivalent; ReLU throughout; all
layers learn at once; one kind of optimizer.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from onward.algorithms.algorithm import Algorithm
from onward.core import Finite, Learner, LocalBlock, NonNegative, Positive, Range, each
from onward.nets.net import Net
from onward.parts.goodness.means import MeanSquare, MeanSquareByPosition
from onward.parts.handoff.norms import Handoff, UnitLength
from onward.parts.inference.scores import LinearReadout
from onward.parts.objective.two_thresholds import TwoThresholds
from onward.parts.supervision.other_images import SelfContrast


@dataclass(frozen=True)
class SCFF(Algorithm):
    """An image with itself against an image with another; a linear read-out for the classes (Chen et al. 2025)."""

    real: Finite = 0.3
    """Mean goodness that real views should exceed."""
    contrastive: Finite = 0.2
    """Mean goodness that contrastive views should stay below."""
    sharpness: Positive = 20.0
    """How fast the loss moves with the mean goodness."""
    decay: NonNegative = 0.01
    """Weight of the real views' goodness in the loss."""
    grid: Annotated[int, Range(1, 64)] = 2
    """Cells on each side of the grid in which the read-out averages a map."""
    goodness: Literal["whole_map", "by_position"] = "whole_map"
    """Whether a map has one goodness, or one at every position, over which the loss averages, as in the released code
    (there the decay is of the length of all of them)."""

    def __call__(self, net: Net, num_classes: int) -> Learner:
        """Fill the slots of a network."""
        objective = TwoThresholds(self.real, self.contrastive, self.sharpness, self.decay)
        kind = MeanSquareByPosition if self.goodness == "by_position" else MeanSquare
        blocks = [
            LocalBlock(body, goodness=kind(), objective=objective, handoff=Handoff(UnitLength(), join, pool))
            for body, join, _, pool in zip(*net, strict=True)
        ]
        readout = LinearReadout(num_classes, start=0, grid=self.grid, standardize=True)
        return Learner(blocks, supervision=SelfContrast(), spans=each(len(blocks)), rules={"linear_readout": readout})
