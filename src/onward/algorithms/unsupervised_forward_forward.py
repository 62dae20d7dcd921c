"""Forward-Forward (Hinton 2022), unsupervised: goodness is high for an image, low for a hybrid of two images.

Goodness: mean of the squared activity (the paper sums). Objective: logistic loss around a threshold (eq. 1). Auxiliary:
peer normalization. Handoff: unit length. Hybrids show one image inside the large regions of a random mask and another
one outside. The class is read by a linear softmax classifier on what all layers but the first hand on.

Differs from the paper: the other image of a hybrid is from the same batch; the form of peer normalization, which the
paper mentions without an equation. The paper's locally connected network is `LocalFields`.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from torch import nn

from onward.algorithms.algorithm import Algorithm
from onward.core import Finite, Learner, LocalBlock, NonNegative, Positive, Range, Whole, each
from onward.nets.net import Net
from onward.parts.auxiliary.peer_norm import PeerNormalization
from onward.parts.goodness.means import MeanSquare
from onward.parts.handoff.norms import Handoff, UnitInput, UnitLength
from onward.parts.inference.scores import LinearReadout
from onward.parts.objective.class_scores import Threshold
from onward.parts.supervision.other_images import Blurs, HybridImages


@dataclass(frozen=True)
class UnsupervisedForwardForward(Algorithm):
    """Images against hybrids of two images, peer normalization, a linear read-out for the classes (Hinton 2022)."""

    standardize: ClassVar[bool] = False  # as in the supervised method: pixels in their own range

    threshold: Finite = 0.15
    """Mean goodness at which a view counts as real with probability one half; near that of an untrained layer."""
    sharpness: Positive = 200.0
    """How fast that probability moves with the mean goodness; the width of a layer gives the paper's sum."""
    blurs: Blurs = 6
    """How often a mask is blurred: the more, the larger its regions."""
    peer_weight: NonNegative = 0.03
    """Weight of peer normalization; 0: none."""
    grid: Annotated[int, Range(1, 64)] = 2
    """Cells on each side of the grid in which the read-out reads a map."""
    read_from: Whole = 1
    """First layer that the read-out reads (in a shorter network: the last); the paper leaves out layer 0."""

    def __call__(self, net: Net, num_classes: int) -> Learner:
        """Fill the slots of a network."""
        blocks = [
            LocalBlock(
                body if k else nn.Sequential(UnitInput(), body),
                goodness=MeanSquare(),
                objective=Threshold(self.threshold, self.sharpness),
                auxiliary=PeerNormalization(width, weight=self.peer_weight) if self.peer_weight else None,
                handoff=Handoff(UnitLength(), join, pool),
            )
            for k, (body, join, width, pool) in enumerate(zip(*net, strict=True))
        ]
        start = min(self.read_from, len(blocks) - 1)
        readout = LinearReadout(num_classes, start=start, learning_rate=5e-3, grid=self.grid)
        supervision = HybridImages(self.blurs)
        return Learner(blocks, supervision=supervision, spans=each(len(blocks)), rules={"linear_readout": readout})
