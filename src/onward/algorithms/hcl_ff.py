"""HCL-FF (Yao, Chen, Kuo; CVPR 2026): DeeperForward from coarse to fine classes, with a contrastive loss.

Goodness: mean activity of class groups; in a block on superclasses, the mean over their members. Objective: softmax
cross-entropy. Auxiliary: supervised contrastive loss of the class-normalized features, by fine labels. Handoff:
class-group normalization, then the residual. A linear classifier is trained on what the last block hands on.

Differs from the released code: blocks on superclasses score superclasses in predictions too, where the code adds
the untrained goodness of classes; projections learn at the rate of their block, not at twice that;
temperatures fall step by step; gradients are clipped for block and projection together.
"""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from onward.algorithms.algorithm import Algorithm
from onward.core import Goodness, Learner, LocalBlock, NonNegative, Whole, each
from onward.nets.net import Net
from onward.nets.residual import Drop, LastAdd
from onward.parts.auxiliary.contrastive import SupervisedContrastive
from onward.parts.goodness.class_tree import Levels, levels_of
from onward.parts.goodness.linear import LinearHead
from onward.parts.goodness.means import ClassMean
from onward.parts.goodness.superclasses import MergedClasses, Superclasses
from onward.parts.handoff.norms import ClassNorm, Handoff, SampleNorm
from onward.parts.inference.scores import BestRange, HeadGoodness, SumGoodness
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.ops.feature_maps import outputs_feature_maps
from onward.parts.supervision.labels import LabelInLoss


@dataclass(frozen=True)
class HCLFF(Algorithm):
    """Class-group competition from superclasses to classes, and supervised contrast per block (Yao et al. 2026)."""

    tree: str = ""
    """Nested lists of class numbers, such as [[0, 8], [2, [3, 5]]]; empty: all blocks score classes."""
    pace: Literal["even", "one_per_block"] = "even"
    """even: the tree's levels are spread evenly over all blocks; one_per_block: one block per level, the rest on
    classes."""
    contrast: NonNegative = 1.0
    """Weight of the contrastive loss; 0: none."""
    warm_steps: Whole = 0
    """Steps in which its temperature falls from 0.8 to 0.2."""
    steps: Whole = 0
    """Step at which its temperature reaches 0.1; 0: it stays 0.2."""
    last_shortcut: Literal["dropped", "added"] = "dropped"
    """added: the classifier reads the last activity and the last skip connection, as in the released code."""

    def __call__(self, net: Net, num_classes: int) -> Learner:
        """Fill the slots.

        Raises ValueError for a tree of other classes, a width that is no multiple of them, and a last skip connection
        that cannot be added.
        """
        if self.last_shortcut == "added":
            net = net._replace(joins=[*net.joins[:-1], _added(net.joins[-1])])
        levels, count = levels_of(self.tree, num_classes) if self.tree else (), len(net.bodies)
        blocks = [
            LocalBlock(
                body if k else nn.Sequential(SampleNorm(), body),
                goodness=self._goodness(k, count, levels, ClassMean(num_classes, width)),
                objective=CrossEntropy(),
                auxiliary=self._auxiliary(num_classes, width, outputs_feature_maps(body)) if self.contrast else None,
                handoff=Handoff(ClassNorm(num_classes, width), join, pool),
            )
            for k, (body, join, width, pool) in enumerate(zip(*net, strict=True))
        ]
        read = LinearHead(num_classes, net.widths[-1])
        head = LocalBlock(nn.Identity(), goodness=read, objective=CrossEntropy(), head=True)
        return Learner(
            [*blocks, head],
            supervision=LabelInLoss(),
            spans=each(count + 1),
            rules={"best_range": BestRange(), "all_blocks": SumGoodness(), "softmax": HeadGoodness()},
        )

    def _goodness(self, block: int, blocks: int, levels: Levels, classes: ClassMean) -> Goodness:
        level = block if self.pace == "one_per_block" else block * len(levels) // blocks
        if level >= len(levels) - 1 or block == blocks - 1:  # the last level has all classes, and so has the last block
            return classes
        return Superclasses(MergedClasses(classes, levels[level]), levels[level])

    def _auxiliary(self, num_classes: int, width: int, maps: bool) -> SupervisedContrastive:
        weight, warm, steps = self.contrast, self.warm_steps, self.steps
        return SupervisedContrastive(num_classes, width, maps=maps, weight=weight, warm_steps=warm, steps=steps)


def _added(join: nn.Module) -> LastAdd:
    if isinstance(join, Drop) and join.adds:
        return LastAdd()
    raise ValueError(
        "last_shortcut is 'added', but no skip connection as wide as the last layer ends there: choose 'dropped', or a "
        "residual network such as ResNet17"
    )
