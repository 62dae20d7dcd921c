"""HFF, hyperspherical Forward-Forward (arXiv 2605.00082), a RECONSTRUCTION: unit-length prototypes of the classes.

From the abstract alone. Goodness: cosine between the activity's direction and a learned prototype per class.
Objective: softmax cross-entropy of the cosines; the other classes are the negatives, so one pass learns and one pass
predicts. Handoff: unit length.

Inferred, not read: the temperature, the grid in which maps are averaged, the inference rules.
"""

from dataclasses import dataclass
from typing import Annotated

from onward.algorithms.algorithm import Algorithm
from onward.core import Learner, LocalBlock, Positive, Range, each
from onward.nets.net import Net
from onward.parts.goodness.anchors import LearnedAnchors
from onward.parts.handoff.norms import Handoff, UnitLength
from onward.parts.inference.scores import LastGoodness, SumGoodness
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.ops.feature_maps import outputs_feature_maps
from onward.parts.supervision.labels import LabelInLoss


@dataclass(frozen=True)
class HFF(Algorithm):
    """Cosines to learned class prototypes and cross-entropy per layer: a reconstruction (2026)."""

    temperature: Positive = 0.1
    """Divisor of the cosines in the loss."""
    grid: Annotated[int, Range(1, 64)] = 2
    """Cells on each side of the grid in which a map is averaged."""

    def __call__(self, net: Net, num_classes: int) -> Learner:
        """Fill the slots of a network. Raises ValueError for a grid below 1 or a temperature that is not positive."""
        blocks = [
            LocalBlock(
                body,
                goodness=LearnedAnchors(num_classes, width, self.grid if outputs_feature_maps(body) else 1),
                objective=CrossEntropy(temperature=self.temperature),
                handoff=Handoff(UnitLength(), join, pool),
            )
            for body, join, width, pool in zip(*net, strict=True)
        ]
        return Learner(
            blocks,
            supervision=LabelInLoss(),
            spans=each(len(blocks)),
            rules={"all_blocks": SumGoodness(), "last_block": LastGoodness()},
        )
