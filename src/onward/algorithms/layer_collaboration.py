"""Layer collaboration (Lorberbom et al., AAAI 2024): a layer's loss includes the goodness of the earlier layers.

As supervised Forward-Forward: mean square, a threshold, unit length, the label in the input. But the probability of a
real view is sigma(g + gamma - threshold), where gamma is the goodness of the other layers, held fixed: one number per
sample is handed on beside the activity, without a gradient. Inference: try every label.

From the abstract and others' code. Differs: gamma is the goodness of earlier layers; the paper also has a form with
that of all layers.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from onward.algorithms.algorithm import Algorithm
from onward.core import Finite, Learner, LocalBlock, Positive, each
from onward.nets.net import Net
from onward.parts.goodness.means import MeanSquare
from onward.parts.handoff.norms import Handoff, UnitInput, UnitLength
from onward.parts.inference.scores import LinearReadout, SumGoodness
from onward.parts.objective.class_scores import Threshold
from onward.parts.objective.layer_collaboration import AddEarlierGoodness, CarryGoodness
from onward.parts.supervision.labels import LabelInInput


@dataclass(frozen=True)
class LayerCollaboration(Algorithm):
    """Forward-Forward with the goodness of earlier layers in each layer's loss (Lorberbom et al. 2024)."""

    standardize: ClassVar[bool] = False  # the label is written in the pixels' own range

    threshold: Finite = 0.15
    """Mean goodness per layer at which a view counts as real with probability one half."""
    sharpness: Positive = 200.0
    """How fast that probability moves with the goodness."""
    weight: Finite = 0.7
    """Weight of the earlier layers' goodness above their thresholds."""

    def __call__(self, net: Net, num_classes: int) -> Learner:
        """Fill the slots of a network. Raises ValueError for fewer than two classes."""
        blocks = []
        for k, (body, join, _, pool) in enumerate(zip(*net, strict=True)):
            goodness = MeanSquare()
            threshold = self.threshold * (1 + self.weight * k)  # of its own goodness and that of k layers before it
            block = LocalBlock(
                body if k else nn.Sequential(UnitInput(), body),
                goodness=goodness,
                objective=AddEarlierGoodness(Threshold(threshold, self.sharpness), self.weight),
                handoff=CarryGoodness(Handoff(UnitLength(), join, pool), goodness, first=k == 0),
            )
            blocks.append(block)
        readout = LinearReadout(num_classes, start=min(1, len(blocks) - 1))
        return Learner(
            blocks,
            supervision=LabelInInput(num_classes),
            spans=each(len(blocks)),
            rules={"every_label": SumGoodness(), "linear_readout": readout},
        )
