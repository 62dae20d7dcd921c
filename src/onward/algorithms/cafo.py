"""CaFo, Cascaded Forward (Zhao et al., arXiv 2303.09728): random blocks, and a linear predictor on each of them.

Body: random and never trained, or trained by direct feedback alignment while the predictors learn.
Goodness: a linear read-out of the activity. Objective: squared error, solved in closed form; cross-entropy; sparsemax.
Handoff: the activity. The class is read from the sum of all predictors' softmax (or sparsemax). No negative data.

Differs from the released code: predictors learn in mini-batches, with intercepts, from maps averaged in a grid; squared
error has a ridge; its feedback-aligned blocks are not public, and follow another author's: see the documentation.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from onward.algorithms.algorithm import Algorithm
from onward.core import Count, Goodness, Learner, LocalBlock, Positive, each, whole
from onward.nets.net import Net
from onward.parts.body.direct_feedback import Detached, DirectFeedback, ErrorChannel, TopError
from onward.parts.body.frozen import frozen
from onward.parts.goodness.least_squares import LeastSquares
from onward.parts.goodness.linear import LinearHead, grid_within
from onward.parts.handoff.norms import Handoff
from onward.parts.inference.scores import LastGoodness
from onward.parts.inference.votes import SumVotes
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.objective.sparsemax import Sparsemax
from onward.parts.objective.squared_error import SquaredError
from onward.parts.supervision.labels import LabelInLoss

_OBJECTIVES = {"cross_entropy": CrossEntropy, "sparsemax": Sparsemax, "least_squares": SquaredError}


@dataclass(frozen=True)
class CaFo(Algorithm):
    """Random or feedback-aligned blocks with a linear predictor each (Zhao et al. 2023)."""

    passes_gradients: ClassVar[bool] = False

    predictor: Literal["cross_entropy", "sparsemax", "least_squares"] = "cross_entropy"
    """Loss of the predictors; least squares are solved in closed form, from one pass over the data."""
    feedback: bool = False
    """Whether the blocks learn by direct feedback alignment; else they keep their initial weights."""
    features: Count = 8192
    """Largest number of input features of a predictor."""
    ridge: Positive = 100.0
    """least_squares: weight of the predictor's squares beside the sum of squared errors."""

    def __call__(self, net: Net, num_classes: int) -> Learner:
        """Fill the slots of a network. Raises ValueError for a ridge that is not positive."""
        wire, top = ErrorChannel(), len(net.bodies) - 1
        blocks = []
        for k, (body, join, width, pool) in enumerate(zip(*net, strict=True)):
            cells = grid_within(body, width, self.features)
            error = TopError(num_classes, width, wire, cells=cells) if self.feedback and k == top else None
            goodness, objective = self._predictor(num_classes, width, cells), _OBJECTIVES[self.predictor]()
            block = LocalBlock(
                self._body(body, k < top, DirectFeedback(num_classes, width, wire, grid=cells[0])),
                goodness=goodness,
                objective=objective,
                auxiliary=error,
                handoff=Handoff(nn.Identity(), join, pool),
            )
            blocks.append(block)
        spans = whole(len(blocks), deep=True) if self.feedback else each(len(blocks))
        votes = SumVotes("sparsemax" if self.predictor == "sparsemax" else "softmax")
        rules = {"all_blocks": votes, "last_block": LastGoodness()}
        return Learner(blocks, supervision=LabelInLoss(), spans=spans, rules=rules)

    def _body(self, body: nn.Module, below: bool, feedback: DirectFeedback) -> nn.Module:
        if not self.feedback:
            return frozen(body)
        return nn.Sequential(body, feedback) if below else body

    def _predictor(self, num_classes: int, width: int, cells: tuple[int, int]) -> Goodness:
        if self.predictor == "least_squares":
            return LeastSquares(num_classes, width, cells=cells, ridge=self.ridge)
        return Detached(LinearHead(num_classes, width, cells=cells, zero=True))
