"""Forward-Forward (Hinton 2022), supervised: goodness is high for an image with its label, low with a wrong one.

Goodness: mean of the squared activity (the paper sums). Objective: logistic loss around a threshold (eq. 1). Handoff:
unit length, so that the next block cannot read this one's goodness. The label is written into the image; the
contrastive view carries a wrong label. Inference: try every label, or one linear read-out of a neutral view.

Differs from the paper: wrong labels are uniform, not in proportion to the network's mistakes; no peer normalization.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from onward.algorithms.algorithm import Algorithm
from onward.core import Finite, Learner, LocalBlock, Positive, each
from onward.nets.net import Net
from onward.parts.goodness.means import MeanSquare
from onward.parts.handoff.norms import Handoff, UnitInput, UnitLength
from onward.parts.inference.scores import LinearReadout, SumGoodness
from onward.parts.objective.class_scores import Threshold
from onward.parts.supervision.labels import LabelInInput


@dataclass(frozen=True)
class ForwardForward(Algorithm):
    """Squared goodness against a threshold, label in the input, wrong-label negatives (Hinton 2022)."""

    standardize: ClassVar[bool] = False  # the label is written in the pixels' own range

    threshold: Finite = 0.15
    """Mean goodness at which a view counts as real with probability one half; near that of an untrained layer."""
    sharpness: Positive = 200.0
    """How fast that probability moves with the mean goodness; the width of a layer gives the paper's sum."""

    def __call__(self, net: Net, num_classes: int) -> Learner:
        """Fill the slots of a network. Raises ValueError for fewer than two classes or layers."""
        if num_classes < 2 or len(net.bodies) < 2:
            raise ValueError(
                f"Forward-Forward needs at least 2 classes and 2 layers, got {num_classes} and {len(net.bodies)}"
            )
        blocks = [
            LocalBlock(
                body if k else nn.Sequential(UnitInput(), body),
                goodness=MeanSquare(),
                objective=Threshold(self.threshold, self.sharpness),
                handoff=Handoff(UnitLength(), join, pool),
            )
            for k, (body, join, _, pool) in enumerate(zip(*net, strict=True))
        ]
        readout = LinearReadout(num_classes)
        return Learner(
            blocks,
            supervision=LabelInInput(num_classes),
            spans=each(len(blocks)),
            rules={"every_label": SumGoodness(start=1), "linear_readout": readout},
        )
