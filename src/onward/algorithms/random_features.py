"""Random features: layers that stay as they were drawn, and one linear classifier on the last of them.

The control that every local method has to beat: whatever it does better than this, its layers have learned. Handoff:
unit length, or what a batch norm inside the bodies left. The classifier is a block of its own, trained with softmax
cross-entropy; it reads maps averaged in a grid.
"""

from dataclasses import dataclass

from torch import nn

from onward.algorithms.algorithm import Algorithm
from onward.core import Learner, LocalBlock, Span
from onward.nets.net import Net
from onward.parts.frozen import frozen
from onward.parts.handoff import Handoff, UnitLength
from onward.parts.inference import LastGoodness
from onward.parts.kind import gives_maps
from onward.parts.objectives import CrossEntropy
from onward.parts.pooled import PooledLinear, largest_grid
from onward.parts.supervision import LabelInLoss


@dataclass(frozen=True)
class RandomFeatures(Algorithm):
    """The control that learns nothing but a linear read-out of random layers."""

    features: int = 8192
    """Most values that the classifier looks at."""

    def __call__(self, net: Net, num_classes: int) -> Learner:
        """Fill the slots of a network."""
        normalised = any(isinstance(module, nn.BatchNorm2d) for body in net.bodies for module in body.modules())
        normalise = nn.Identity if normalised else UnitLength
        blocks = [
            LocalBlock(frozen(body), handoff=Handoff(normalise(), join, pool))
            for body, join, _, pool in zip(*net, strict=True)
        ]
        cells = largest_grid(net.widths[-1], self.features) if gives_maps(net.bodies[-1]) else (1, 1)
        head = PooledLinear(num_classes, net.widths[-1], cells=cells)
        blocks.append(LocalBlock(nn.Identity(), goodness=head, objective=CrossEntropy()))
        spans = (Span(len(blocks) - 1, len(blocks) - 1),)
        return Learner(blocks, supervision=LabelInLoss(), spans=spans, rules={"last_block": LastGoodness()})
