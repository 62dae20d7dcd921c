"""Distance-Forward (Wu et al. 2024), a RECONSTRUCTION with labels in the input: right pairs must win by a margin.

From the abstract and readers' notes alone. Each training image enters with its label and with K wrong ones.
Goodness: mean of the squared activity. Objective: N-pair margin, max(m + g_neg - g_pos, 0) + penalty * g_neg for one
wrong label (as a reader noted it). Handoff: unit length. Collaboration: pairs of neighbors (DF-O), with random
feedback inside a pair (DF-R), or none. Inference: try every label.

Inferred, not read: how labels enter, the loss for several negatives, the schedule of pairs, the inference rules.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from onward.algorithms.algorithm import Algorithm
from onward.core import Count, Learner, LocalBlock, NonNegative, Positive
from onward.nets.net import Net
from onward.parts.body.collaboration import Collaboration, collaborate, scored, with_feedback
from onward.parts.goodness.means import MeanSquare
from onward.parts.handoff.norms import Handoff, UnitInput, UnitLength
from onward.parts.inference.scores import LastGoodness, LinearReadout, SumGoodness
from onward.parts.objective.margins import Form, NPairMargin, ViewMargin
from onward.parts.supervision.label_pattern import LabelPattern
from onward.parts.supervision.labels import LabelInInput


@dataclass(frozen=True)
class DistanceForwardPairs(Algorithm):
    """Margins between the goodness of right and wrong image-label pairs: a reconstruction (Wu et al. 2024)."""

    standardize: ClassVar[bool] = False  # the label is written in the pixels' own range

    margin: NonNegative = 0.25
    """By how much the goodness of the right pair must exceed that of a wrong one."""
    penalty: NonNegative = 0.03
    """Weight of the wrong pairs' goodness in the loss."""
    form: Form = "soft"
    """How several wrong pairs are combined: mean, hardest or soft (a smooth hardest)."""
    sharpness: Positive = 30.0
    """soft: how closely it follows the hardest."""
    wrong_labels: Count = 1
    """Wrong labels of each image in a step; each costs a further pass."""
    label: Literal["overwrite", "pattern"] = "pattern"
    """Written over the first values of the image, or added to all of it as a plane wave."""
    collaboration: Collaboration = "sliding"
    """Pairs of blocks that share a gradient: none, alternating, sliding or disjoint."""
    random_feedback: bool = False
    """Whether the gradient inside a pair passes fixed random weights (DF-R)."""
    unit_length: bool = True
    """Whether blocks hand on unit length; a network that normalizes its own inputs needs none."""

    def __call__(self, net: Net, num_classes: int) -> Learner:
        """Fill the slots. Raises ValueError for impossible settings, or overlapping pairs of one block."""
        feed = LabelInInput if self.label == "overwrite" else LabelPattern
        turns = collaborate(self.collaboration, len(net.bodies))
        bodies = with_feedback(net.bodies, turns) if self.random_feedback else net.bodies
        objective = ViewMargin(NPairMargin(self.margin, self.penalty, self.form, self.sharpness))
        blocks = [
            LocalBlock(
                body if k or not self.unit_length else nn.Sequential(UnitInput(), body),
                goodness=MeanSquare() if k in scored(turns) else None,
                objective=objective if k in scored(turns) else None,
                handoff=Handoff(UnitLength() if self.unit_length else nn.Identity(), join, pool),
            )
            for k, (body, join, _, pool) in enumerate(zip(bodies, *net[1:], strict=True))
        ]
        rules = {"all_blocks": SumGoodness(), "all_but_first": SumGoodness(start=1), "last_block": LastGoodness()}
        readout = LinearReadout(num_classes, start=min(1, len(blocks) - 1))
        supervision = feed(num_classes, self.wrong_labels)
        return Learner(blocks, supervision=supervision, spans=turns, rules={**rules, "linear_readout": readout})
