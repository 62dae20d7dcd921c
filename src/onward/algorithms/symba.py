"""SymBa (Lee and Song, arXiv 2303.08418): real against contrastive view in one softplus, a pattern for the label.

Goodness: mean of the squared activity. Objective: softplus(-alpha (g_real - g_contrastive)), without a threshold.
Handoff: unit length. Intrinsic class pattern: a fixed random pattern per class beside the image, in place of pixels
that are written over. Inference: try every label.

From code and notes that build on the paper, not its text. Inferred: that a pattern consists of random bits, its size,
the scale of goodness to which alpha 4 belongs, optimizer, network, the inference rules.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from torch import nn

from onward.algorithms.algorithm import Algorithm
from onward.core import Count, Learner, LocalBlock, Positive, Range, each
from onward.nets.net import Net
from onward.parts.goodness.means import MeanSquare
from onward.parts.handoff.norms import Handoff, UnitLength
from onward.parts.inference.scores import LastGoodness, LinearReadout, SumGoodness
from onward.parts.objective.symba import PairSoftplus
from onward.parts.supervision.label_beside import LabelNumber, with_label_beside


@dataclass(frozen=True)
class SymBa(Algorithm):
    """One softplus of the difference in goodness, a fixed pattern per class beside the image (Lee and Song 2023)."""

    standardize: ClassVar[bool] = False  # the patterns' bits are in the pixels' own range

    sharpness: Positive = 30.0
    """Alpha: how fast the loss falls with the mean goodness of the real view above the contrastive one."""
    side: Annotated[int, Range(1, 4096)] = 64
    """Values of a pattern for a network without maps; with maps, rows and columns of it."""
    wrong_labels: Count = 1
    """Wrong labels of each image in a step; each costs a further pass."""

    def __call__(self, net: Net, num_classes: int) -> Learner:
        """Fill the slots of a network. Raises ValueError for fewer than two classes."""
        blocks = [
            LocalBlock(
                body if k else self._labeled(body, num_classes),
                goodness=MeanSquare(),
                objective=PairSoftplus(self.sharpness),
                handoff=Handoff(UnitLength(), join, pool),
            )
            for k, (body, join, _, pool) in enumerate(zip(*net, strict=True))
        ]
        readout = LinearReadout(num_classes, start=min(1, len(blocks) - 1))
        return Learner(
            blocks,
            supervision=LabelNumber(num_classes, self.wrong_labels),
            spans=each(len(blocks)),
            rules={"all_blocks": SumGoodness(), "last_block": LastGoodness(), "linear_readout": readout},
        )

    def _labeled(self, body: nn.Module, num_classes: int) -> nn.Module:
        return with_label_beside(body, num_classes, learned=False, side=self.side, between=UnitLength())
