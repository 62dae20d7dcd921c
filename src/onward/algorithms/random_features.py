"""Random features: layers that stay as they were drawn, and one linear classifier on the last of them.

The control that every local method has to beat: whatever it does better than this, its layers have learned. Handoff:
unit length, or what a batch norm inside the bodies left. The classifier is a block of its own, trained with softmax
cross-entropy; it reads maps averaged in a grid, each channel standardised: behind random layers images differ little,
and a read-out of what they have in common learns too slowly to be a fair control.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from onward.algorithms.algorithm import Algorithm
from onward.core import Learner, LocalBlock, Span
from onward.nets.net import Net
from onward.parts.frozen import frozen
from onward.parts.handoff import Handoff, UnitLength
from onward.parts.inference import LastGoodness
from onward.parts.kind import gives_maps
from onward.parts.objectives import CrossEntropy
from onward.parts.pooled import PooledLinear, Standardised, largest_grid
from onward.parts.supervision import LabelInLoss


@dataclass(frozen=True)
class RandomFeatures(Algorithm):
    """The control that learns nothing but a linear read-out of random layers."""

    passes_gradients: ClassVar[bool] = False

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
        maps, width = gives_maps(net.bodies[-1]), net.widths[-1]
        head = PooledLinear(num_classes, width, cells=largest_grid(width, self.features) if maps else (1, 1))
        blocks.append(LocalBlock(nn.Identity(), goodness=Standardised(head, width), objective=CrossEntropy()))
        spans = (Span(len(blocks) - 1, len(blocks) - 1),)
        return Learner(blocks, supervision=LabelInLoss(), spans=spans, rules={"last_block": LastGoodness()})
