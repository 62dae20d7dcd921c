"""CwComp (Papachristodoulou et al., AAAI 2024): classes compete by the mean square of their groups of channels.

Goodness: mean square of each class group. Objective: softmax cross-entropy of it (CwC), the label against a threshold
and the mean of the others (PvN), or a mixture. Handoff: the activity after the body's batch norm; without batch norm,
at unit length. Interleaved training: layers stop learning one after the other. A softmax head on the last activity is
trained beside them to the end. One pass; no negative data.

Built from the released code. Differs from it: windows are even, where the code has tables; a schedule over each window;
one kind of optimizer for all, where the code's head has SGD; the head reads maps averaged in a grid.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from torch import nn

from onward.algorithms.algorithm import Algorithm
from onward.core import Count, Goodness, Learner, LocalBlock, Positive, Range, Span, Whole, interleaved
from onward.nets.net import Net
from onward.parts.goodness.class_squares import ClassMeanSquare
from onward.parts.goodness.linear import LinearHead, grid_within
from onward.parts.goodness.superclasses import Superclasses, even_superclasses
from onward.parts.handoff.norms import Handoff, UnitLength
from onward.parts.inference.scores import HeadGoodness, LastGoodness
from onward.parts.objective.class_scores import CrossEntropy, SoftmaxTwice
from onward.parts.objective.competition import Mixture, PositiveNegative
from onward.parts.ops.batch_norm import has_batch_norm
from onward.parts.supervision.labels import LabelInLoss

_OBJECTIVES = {"competition": CrossEntropy, "threshold": PositiveNegative, "mixture": Mixture}


@dataclass(frozen=True)
class CwComp(Algorithm):
    """Class groups that compete by their mean square, trained in interleaved windows (Papachristodoulou 2024)."""

    objective: Literal["competition", "threshold", "mixture"] = "competition"
    """Cross-entropy (CwC), the label against a threshold (PvN), or 28 % of the first and 72 % of the second (CWG)."""
    first_end: Annotated[float, Range(0, 1, above=True)] = 1.0
    """Share of the training after which the first layer is frozen; the other layers follow at even intervals."""
    last_end: Annotated[float, Range(0, 1, above=True)] = 1.0
    """Share of the training after which the last layer is frozen; the softmax head learns to the end."""
    superclasses: Whole = 0
    """Number of superclasses of consecutive classes that the first layers score; 0: all layers score classes."""
    superclass_layers: Whole = 4
    """Number of first layers with superclasses."""
    head_features: Count = 8192
    """Largest number of input features of the softmax head."""
    head: Literal["plain", "released"] = "plain"
    """plain: weights begin at zero, cross-entropy of the scores; released: torch's initial weights, and a softmax
    before that of the cross-entropy."""
    head_rate_share: Positive = 1.0
    """Learning rate of the softmax head, as a share of that of the layers."""

    def __post_init__(self):
        super().__post_init__()
        if self.superclasses and self.objective != "competition":  # the others would compete inside a superclass
            raise ValueError(
                f"objective {self.objective} does not use superclasses: choose competition, or 0 superclasses"
            )

    def __call__(self, net: Net, num_classes: int) -> Learner:
        """Fill the slots. Raises ValueError for a width that is no multiple of its classes, or impossible windows."""
        normalized = has_batch_norm(net.bodies)
        blocks = [
            LocalBlock(
                body,
                goodness=self._goodness(k, num_classes, width),
                objective=_OBJECTIVES[self.objective](),
                handoff=Handoff(nn.Identity() if normalized else UnitLength(), join, pool),
            )
            for k, (body, join, width, pool) in enumerate(zip(*net, strict=True))
        ]
        layers = interleaved(len(blocks), first_end=self.first_end, last_end=self.last_end)
        cells = grid_within(net.bodies[-1], net.widths[-1], self.head_features)
        released = self.head == "released"
        head = LinearHead(num_classes, net.widths[-1], cells=cells, zero=not released)
        objective = SoftmaxTwice() if released else CrossEntropy()
        share = self.head_rate_share
        blocks.append(LocalBlock(nn.Identity(), goodness=head, objective=objective, rate_share=share, head=True))
        spans = (*layers, Span(len(layers), len(layers)))
        rules = {"softmax": HeadGoodness(), "goodness": LastGoodness()}
        return Learner(blocks, supervision=LabelInLoss(), spans=spans, rules=rules)

    def _goodness(self, layer: int, num_classes: int, width: int) -> Goodness:
        if not self.superclasses or layer >= self.superclass_layers:
            return ClassMeanSquare(num_classes, width)
        members = even_superclasses(num_classes, self.superclasses)
        return Superclasses(ClassMeanSquare(self.superclasses, width), members)
