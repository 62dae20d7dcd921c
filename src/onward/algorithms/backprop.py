"""Backpropagation: one span over all blocks of the network that a local algorithm builds.

Bodies, handoffs and initial weights are those of the local algorithm that it is compared with. Only the last block has
a goodness and an objective: a linear head on averaged maps, and softmax cross-entropy. A last block that has these
already, such as fusion or a softmax head, keeps them, as does one with label smoothing. If the local algorithm reads an
image and its mirror image together, so does its control. Widths need not be multiples of the number of classes: if one
is not, normalization of class groups takes all channels as one group.
"""

from dataclasses import dataclass, field

from torch import nn

from onward.algorithms.algorithm import Algorithm
from onward.algorithms.deeper_forward import DeeperForward
from onward.core import InferenceRule, Learner, LocalBlock, whole
from onward.nets.net import Net
from onward.parts.body.exact import exact
from onward.parts.body.frozen import thawed
from onward.parts.goodness.linear import LinearHead
from onward.parts.inference.scores import LastGoodness
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.ops.class_groups import UnevenGroups
from onward.parts.supervision.labels import LabelInLoss


@dataclass(frozen=True)
class Backprop(Algorithm):
    """The gradient of one loss through all blocks: the control for every local algorithm."""

    of: Algorithm = field(default_factory=DeeperForward)
    """The algorithm whose network is trained."""

    def __call__(self, net: Net, num_classes: int) -> Learner:
        """Fill the slots of a network."""
        groups = num_classes
        try:
            learner = self.of(net, groups)
        except UnevenGroups:
            learner = self.of(net, groups := 1)
        *local, last = learner.blocks
        head = learner.head if groups == num_classes else None
        kept = None if last.objective is None else last.objective.cross_entropy()
        rule = learner.rules[learner.default_rule]
        assert isinstance(rule, InferenceRule)
        blocks = [
            *[LocalBlock(_trained(block.body), handoff=block.handoff) for block in local],
            LocalBlock(
                _trained(last.body),
                goodness=head or LinearHead(num_classes, net.widths[-1]),
                objective=kept or CrossEntropy(),
                handoff=last.handoff,
            ),
        ]
        return Learner(
            blocks,
            supervision=LabelInLoss(),
            spans=whole(len(blocks)),
            rules={"last_block": rule.same_views(LastGoodness())},
        )


def _trained(body: nn.Module) -> nn.Module:
    return thawed(exact(body))
