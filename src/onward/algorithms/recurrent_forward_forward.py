"""Forward-Forward as a recurrent network (Hinton 2022): each layer reads the layers below and above, the label is the
top layer.

Each layer's state is computed from the states of the layers below and above one time step earlier, at unit length, and
damped.
Goodness: mean of the squared state over the counted times and units. Objective: logistic loss around a threshold.
Contrastive views carry a wrong label on top. Inference: try every label, add the goodness of all layers.

A layer's inputs have no graph, so that its loss trains its own weights alone, at each time separately. All layers are
one deep span nevertheless: none can be computed without the others, so no pipeline may cut between them.

Differs from the paper: wrong labels are uniform, not in proportion to the network's mistakes; only counted times are
trained on, and later ones, up to the paper's eight, are not computed.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from torch import nn

from onward.algorithms.algorithm import Algorithm
from onward.core import Count, Finite, Learner, LocalBlock, NonNegative, Positive, Range, ShareBelowOne, Span
from onward.nets.net import Net
from onward.parts.auxiliary.peer_norm import OverTimes, PeerNormalization
from onward.parts.body.recurrent import LabelOnTop, NextLayer, RecurrentLayer, SettleStates, SplitStates
from onward.parts.goodness.means import MeanSquare
from onward.parts.inference.scores import SumGoodness
from onward.parts.objective.class_scores import Threshold


@dataclass(frozen=True)
class RecurrentForwardForward(Algorithm):
    """Recurrent layers with the label as the top layer, squared goodness per layer (Hinton 2022)."""

    standardize: ClassVar[bool] = False
    passes_gradients: ClassVar[bool] = False

    threshold: Finite = 0.3
    """Mean goodness at which a view counts as real with probability one half; near that of an untrained layer."""
    sharpness: Positive = 100.0
    """How fast that probability moves with the mean goodness."""
    damping: ShareBelowOne = 0.3
    """Share of its previous state that a layer keeps."""
    first: Annotated[int, Range(1, 1000)] = 3
    """First time whose goodness counts."""
    last: Annotated[int, Range(1, 1000)] = 5
    """Last time whose goodness counts."""
    wrong_labels: Count = 1
    """Contrastive views of each image; the paper has one."""
    peer_weight: NonNegative = 0.0
    """Weight of peer normalization, which keeps units active; 0: none."""

    def __post_init__(self):
        super().__post_init__()
        if self.first > self.last:
            raise ValueError(f"first must not be later than last, got first {self.first} and last {self.last}")

    def __call__(self, net: Net, num_classes: int) -> Learner:
        """Fill the slots. Raises ValueError for a network of anything but linear layers with ReLU."""
        linear = [[module for module in body.modules() if isinstance(module, nn.Linear)] for body in net.bodies]
        weights = [sum(1 for _ in body.parameters()) for body in net.bodies]
        own = [sum(1 for layer in layers_of_block for _ in layer.parameters()) for layers_of_block in linear]
        if weights != own or any(
            len(layers_of_block) != 1 for layers_of_block in linear
        ):  # a layer of another kind would be ignored
            raise ValueError("layers that read layers below and above need a network of linear layers, such as MLP")
        above = [*net.widths[1:], num_classes]
        layers = [
            RecurrentLayer(layers_of_block[0], up, damping=self.damping)
            for layers_of_block, up in zip(linear, above, strict=True)
        ]
        objective = Threshold(self.threshold, self.sharpness)
        blocks = [LocalBlock(SettleStates(layers, first=self.first, last=self.last), handoff=SplitStates(layers))]
        for layer, width in zip(layers, net.widths, strict=True):
            peers = OverTimes(PeerNormalization(width, weight=self.peer_weight)) if self.peer_weight else None
            blocks.append(
                LocalBlock(layer, goodness=MeanSquare(), objective=objective, auxiliary=peers, handoff=NextLayer())
            )
        return Learner(
            blocks,
            supervision=LabelOnTop(num_classes, self.wrong_labels),
            spans=(Span(1, len(layers), deep=True),),
            rules={"every_label": SumGoodness()},
        )
