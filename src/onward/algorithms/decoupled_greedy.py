"""Decoupled greedy learning (Belilovsky, Eickenberg, Oyallon, ICML 2020): a small classifier in every block.

Goodness: the scores of one or more convolutions and a linear read-out of the activity; in the last block of the linear
read-out alone. Objective: softmax cross-entropy. Handoff: the activity as it is, pooled. All blocks learn at once, each
from its own loss (Algorithm 1; the replay buffer of Algorithm 2 is not implemented).

Differs from the paper: a block's classifier is one 3 x 3 convolution with batch normalization and GELU on a map of at
most 8 x 8 cells, or several with 2 x 2 max pools between them, and a linear read-out of a coarse grid. Theirs are two
such convolutions with ReLU and no pool, or three of 1 x 1 and three hidden linear layers on a map of a quarter of the
side, both averaged to 2 x 2 (released code). The last block of theirs has two hidden linear layers.
"""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from onward.algorithms.algorithm import Algorithm
from onward.core import Count, Goodness, Learner, LocalBlock, ShareBelowOne, each
from onward.nets.net import Net
from onward.parts.goodness.auxiliary_classifier import AuxiliaryClassifier
from onward.parts.goodness.linear import LinearHead, grid_within
from onward.parts.handoff.norms import Handoff
from onward.parts.inference.scores import BestRange, LastGoodness, SumGoodness
from onward.parts.inference.views import Shift, from_views
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.ops.feature_maps import outputs_feature_maps
from onward.parts.supervision.labels import LabelInLoss


@dataclass(frozen=True)
class DecoupledGreedy(Algorithm):
    """A small convolutional classifier and cross-entropy in every block (Belilovsky, Eickenberg, Oyallon 2020)."""

    hidden: Count = 128
    """Channels of each convolution between a block's activity and its scores."""
    layers: Count = 1
    """Convolutions between a block's activity and its scores; each but the last is followed by a 2 x 2 max pool."""
    side: Count = 8
    """Largest side of the map that the first convolution reads; larger ones are averaged in cells."""
    decoder_features: Count = 2048
    """Largest number of input features of a block's linear read-out."""
    label_smoothing: ShareBelowOne = 0.0
    """Share of the target that is spread evenly over all classes."""
    mirrored: bool = False
    """Whether a class is read from an image and its mirror image together."""
    shifted: Shift = 0
    """Pixels by which an image is moved along its diagonals, a class being read from all five; 0: the image alone."""
    predict: Literal["last_block", "all_blocks", "best_range"] = "last_block"
    """Rule that predicts: the last block, the sum of all, or of the range that is best on validation images."""

    def __call__(self, net: Net, num_classes: int) -> Learner:
        """Fill the slots of a network."""
        last = len(net.bodies) - 1
        blocks = [
            LocalBlock(
                body,
                goodness=self._classifier(body, width, num_classes, last=k == last),
                objective=CrossEntropy(self.label_smoothing),
                handoff=Handoff(nn.Identity(), join, pool),
            )
            for k, (body, join, width, pool) in enumerate(zip(*net, strict=True))
        ]
        rules = {"last_block": LastGoodness(), "all_blocks": SumGoodness(), "best_range": BestRange()}
        return Learner(
            blocks,
            supervision=LabelInLoss(),
            spans=each(len(blocks)),
            rules=from_views(rules, mirrored=self.mirrored, shifted=self.shifted, predict=self.predict),
        )

    def _classifier(self, body: nn.Module, width: int, num_classes: int, *, last: bool) -> Goodness:
        if last:
            return LinearHead(num_classes, width, cells=grid_within(body, width, self.decoder_features), zero=True)
        return AuxiliaryClassifier(
            num_classes,
            width,
            hidden=self.hidden,
            layers=self.layers,
            maps=outputs_feature_maps(body),
            side=self.side,
            features=self.decoder_features,
        )
