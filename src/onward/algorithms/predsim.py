"""predsim (Nøkland and Eidnes, ICML 2019): every block classifies, and brings images of one class together.

Goodness: a learned linear read-out of the activity, its maps averaged in a coarse grid. Objective: softmax
cross-entropy (their loss `pred`), with weight 1 - beta. Auxiliary: similarity matching between a learned projection of
the activity and the labels (their loss `sim`), with weight beta. Handoff: the activity as it is, pooled.

Differs from the paper: the class is read from the last block's own read-out, where the paper trains one more linear
layer on what that block hands on; the grid of the read-out is chosen from the number of channels alone.
"""

from dataclasses import dataclass

from torch import nn

from onward.algorithms.algorithm import Algorithm
from onward.core import Count, Learner, LocalBlock, ShareBelowOne, each
from onward.nets.net import Net
from onward.parts.auxiliary.similarity import SimilarityMatching
from onward.parts.goodness.linear import LinearHead, grid_within
from onward.parts.handoff.norms import Handoff
from onward.parts.inference.scores import BestRange, LastGoodness, SumGoodness
from onward.parts.inference.views import Shift, from_views
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.objective.weighted import Weighted
from onward.parts.ops.feature_maps import outputs_feature_maps
from onward.parts.supervision.labels import LabelInLoss


@dataclass(frozen=True)
class PredSim(Algorithm):
    """Cross-entropy of a linear read-out and similarity matching in every block (Nøkland and Eidnes 2019)."""

    beta: ShareBelowOne = 0.99
    """Share of similarity matching in the loss; 0: cross-entropy alone (`pred`).
    Below 1, as classes are read from the scores that cross-entropy trains."""
    decoder_features: Count = 2048
    """Largest number of input features of a block's linear read-out."""
    label_smoothing: ShareBelowOne = 0.0
    """Share of the target that is spread evenly over all classes."""
    mirrored: bool = False
    """Whether a class is read from an image and its mirror image together."""
    shifted: Shift = 0
    """Pixels by which an image is moved along its diagonals, a class being read from all five; 0: the image alone."""

    def __call__(self, net: Net, num_classes: int) -> Learner:
        """Fill the slots of a network."""
        blocks = [
            self._block(body, width, Handoff(nn.Identity(), join, pool), num_classes)
            for body, join, width, pool in zip(*net, strict=True)
        ]
        rules = {"last_block": LastGoodness(), "all_blocks": SumGoodness(), "best_range": BestRange()}
        return Learner(
            blocks,
            supervision=LabelInLoss(),
            spans=each(len(blocks)),
            rules=from_views(rules, mirrored=self.mirrored, shifted=self.shifted),
        )

    def _block(self, body: nn.Module, width: int, handoff: Handoff, num_classes: int) -> LocalBlock:
        maps = outputs_feature_maps(body)
        cells = grid_within(body, width, self.decoder_features)
        similarity = SimilarityMatching(num_classes, width, maps=maps, weight=self.beta) if self.beta else None
        entropy = CrossEntropy(self.label_smoothing)
        return LocalBlock(
            body,
            goodness=LinearHead(num_classes, width, cells=cells, zero=True),
            objective=Weighted(entropy, 1 - self.beta) if self.beta else entropy,
            auxiliary=similarity,
            handoff=handoff,
        )
