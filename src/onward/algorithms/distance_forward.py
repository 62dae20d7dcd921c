"""Distance-Forward (Wu et al. 2024), a RECONSTRUCTION with class anchors: the label's anchor must win by a margin.

From the abstract and readers' notes alone. Goodness: cosine between the activity's direction, averaged in a
grid, and an anchor per class. Objective: N-pair margin against all other anchors. Handoff: unit length. Collaboration:
pairs of neighbors (DF-O), with random feedback inside a pair (DF-R), or none. One pass; no negative data.

Inferred, not read: the goodness, the loss for several negatives, the schedule of pairs, the inference rules.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from torch import nn

from onward.algorithms.algorithm import Algorithm
from onward.core import Goodness, Learner, LocalBlock, NonNegative, Positive, Range, ShareBelowOne
from onward.nets.net import Net
from onward.parts.body.collaboration import Collaboration, collaborate, scored, with_feedback
from onward.parts.goodness.anchors import LearnedAnchors, RunningAnchors
from onward.parts.handoff.norms import Handoff, UnitLength
from onward.parts.inference.scores import LastGoodness, LinearReadout, SumGoodness
from onward.parts.inference.views import Shift, from_views
from onward.parts.objective.margins import ClassMargin, Form, NPairMargin
from onward.parts.ops.feature_maps import outputs_feature_maps
from onward.parts.supervision.labels import LabelInLoss


@dataclass(frozen=True)
class DistanceForward(Algorithm):
    """Margins between similarities to class anchors, layer collaboration: a reconstruction (Wu et al. 2024)."""

    margin: NonNegative = 0.2
    """By how much the cosine to the right anchor must exceed those to the others."""
    penalty: NonNegative = 0.0
    """Weight of the cosines to wrong anchors in the loss."""
    form: Form = "soft"
    """How the wrong anchors are combined: mean, hardest or soft (a smooth hardest)."""
    sharpness: Positive = 30.0
    """soft: how closely it follows the hardest."""
    anchors: Literal["learned", "running"] = "running"
    """Trained with the block, or running class centroids."""
    momentum: ShareBelowOne = 0.99
    """running: share of a centroid that a batch leaves unchanged."""
    grid: Annotated[int, Range(1, 64)] = 2
    """Cells on each side of the grid in which a map is averaged."""
    collaboration: Collaboration = "sliding"
    """Pairs of blocks that share a gradient: none, alternating, sliding or disjoint."""
    random_feedback: bool = False
    """Whether the gradient inside a pair passes fixed random weights (DF-R)."""
    unit_length: bool = True
    """Whether blocks hand on unit length; a network that normalizes its own inputs needs none."""
    mirrored: bool = False
    """Whether a class is read from an image and its mirror image together."""
    shifted: Shift = 0
    """Pixels by which an image is moved along its diagonals, a class being read from all five; 0: the image alone."""

    def __call__(self, net: Net, num_classes: int) -> Learner:
        """Fill the slots. Raises ValueError for impossible settings, one class, or overlapping pairs of one block."""
        if num_classes < 2:
            raise ValueError(f"margins between classes need at least 2 classes, got {num_classes}")
        turns = collaborate(self.collaboration, len(net.bodies))
        bodies = with_feedback(net.bodies, turns) if self.random_feedback else net.bodies
        objective = ClassMargin(NPairMargin(self.margin, self.penalty, self.form, self.sharpness))
        blocks = [
            LocalBlock(
                body,
                goodness=self._goodness(given, num_classes, width) if k in scored(turns) else None,
                objective=objective if k in scored(turns) else None,
                handoff=Handoff(UnitLength() if self.unit_length else nn.Identity(), join, pool),
            )
            for k, (body, given, join, width, pool) in enumerate(zip(bodies, *net, strict=True))
        ]
        rules = {"last_block": LastGoodness(), "all_blocks": SumGoodness(), "all_but_first": SumGoodness(start=1)}
        readout = LinearReadout(num_classes, start=min(1, len(blocks) - 1))
        rules = from_views({**rules, "linear_readout": readout}, mirrored=self.mirrored, shifted=self.shifted)
        return Learner(blocks, supervision=LabelInLoss(), spans=turns, rules=rules)

    def _goodness(self, body: nn.Module, num_classes: int, width: int) -> Goodness:
        grid = self.grid if outputs_feature_maps(body) else 1
        if self.anchors == "running":
            return RunningAnchors(num_classes, width, grid, self.momentum)
        return LearnedAnchors(num_classes, width, grid)
