"""The Trifecta (Dooms et al., arXiv 2311.18130): SymBa's loss, batch norm, and pairs of layers that share a gradient.

Goodness: mean of the squared activity. Objective: softplus(-alpha (g_real - g_contrastive)). Handoff: the activity, as
bodies begin with batch norm; without batch norm, unit length. Overlapping local updates: each layer is in turn the top
and the bottom of a pair, so that a gradient spans two layers. The label is one more channel of the image, learned with
the first layer. Inference: try every label, read the last layer.

Differs from the released code: goodness is read before a max pool, not after it; each layer has one optimizer, where
the code has one for each end of a pair.
"""

from dataclasses import dataclass
from typing import Annotated

from torch import nn

from onward.algorithms.algorithm import Algorithm
from onward.core import Count, Learner, LocalBlock, Positive, Range, alternating, each
from onward.nets.net import Net
from onward.parts.goodness.means import MeanSquare
from onward.parts.handoff.norms import Handoff, UnitLength
from onward.parts.inference.scores import LastGoodness, SumGoodness
from onward.parts.objective.symba import PairSoftplus
from onward.parts.ops.batch_norm import has_batch_norm
from onward.parts.supervision.label_beside import LabelNumber, with_label_beside


@dataclass(frozen=True)
class Trifecta(Algorithm):
    """SymBa's loss over overlapping pairs, batch norm, a learned label channel (Dooms et al. 2023)."""

    sharpness: Positive = 4.0
    """Alpha: how fast the loss falls with the mean goodness of the real view above the contrastive one."""
    wrong_labels: Count = 1
    """Contrastive views of each image; the released code has one."""
    overlapping: bool = True
    """Whether gradients span two layers in turns; else each layer alone."""
    side: Annotated[int, Range(1, 4096)] = 32
    """Rows and columns of the learned pattern of a class; for a network without maps, its values."""

    def __call__(self, net: Net, num_classes: int) -> Learner:
        """Fill the slots of a network. Raises ValueError for too many wrong labels, or pairs of one layer."""
        normalized = has_batch_norm(net.bodies)
        blocks = [
            LocalBlock(
                body if k else with_label_beside(body, num_classes, learned=True, side=self.side),
                goodness=MeanSquare(),
                objective=PairSoftplus(self.sharpness),
                handoff=Handoff(nn.Identity() if normalized else UnitLength(), join, pool),
            )
            for k, (body, join, _, pool) in enumerate(zip(*net, strict=True))
        ]
        return Learner(
            blocks,
            supervision=LabelNumber(num_classes, self.wrong_labels),
            spans=alternating(len(blocks)) if self.overlapping else each(len(blocks)),
            rules={"last_block": LastGoodness(), "all_blocks": SumGoodness()},
        )
