"""Random features: layers with their initial weights, each with a linear classifier; the best block is read.

The control that every local method has to exceed: the difference is what its layers have learned. Body: frozen.
Goodness: a linear map of the activity, its maps averaged in a grid, each channel standardized, as activities of random
layers differ little from image to image: without that the classifier would learn too slowly to be a fair control.
Objective: softmax cross-entropy, of the classifier alone. Handoff: unit length, or as it is if the bodies have batch
norm. The block to read is chosen on the validation split, as random layers lose information with depth.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from onward.algorithms.algorithm import Algorithm
from onward.core import Count, Learner, LocalBlock, each
from onward.nets.net import Net
from onward.parts.body.frozen import frozen
from onward.parts.goodness.linear import LinearHead, Standardized, grid_within
from onward.parts.handoff.norms import Handoff, UnitLength
from onward.parts.inference.scores import BestBlock, LastGoodness, SumGoodness
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.ops.batch_norm import has_batch_norm
from onward.parts.supervision.labels import LabelInLoss


@dataclass(frozen=True)
class RandomFeatures(Algorithm):
    """The control that trains linear read-outs of random layers only."""

    passes_gradients: ClassVar[bool] = False

    features: Count = 8192
    """Largest number of input features of a classifier."""

    def __call__(self, net: Net, num_classes: int) -> Learner:
        """Fill the slots of a network."""
        normalized = has_batch_norm(net.bodies)
        normalize = nn.Identity if normalized else UnitLength
        blocks = []
        for body, join, width, pool in zip(*net, strict=True):
            cells = grid_within(body, width, self.features)
            head = Standardized(LinearHead(num_classes, width, cells=cells, zero=True), width)
            handoff = Handoff(normalize(), join, pool)
            blocks.append(LocalBlock(frozen(body), goodness=head, objective=CrossEntropy(), handoff=handoff))
        rules = {"best_block": BestBlock(), "last_block": LastGoodness(), "all_blocks": SumGoodness()}
        return Learner(blocks, supervision=LabelInLoss(), spans=each(len(blocks)), rules=rules)
