"""DeeperForward's seventeen-layer network without skip connections."""

from dataclasses import dataclass
from typing import ClassVar

from onward.core import ShareBelowOne, Size
from onward.nets.layout import Layout
from onward.nets.net import Architecture, Net, Shape, conv_body, plain


@dataclass(frozen=True)
class Plain17(Architecture):
    """ResNet17 without its skip connections: the first layer of a later stage widens and has stride 2.

    26.823 M parameters at width 100 for color images (DeeperForward, released code).
    Raises ValueError for a width below 1 or a dropout outside [0, 1).
    """

    activities: ClassVar[Layout] = "map"

    width: Size = 100
    """Channels of the first stage; each later stage has twice as many."""
    dropout: ShareBelowOne = 0.2
    """Probability of dropping a unit, after every ReLU."""

    def __call__(self, shape: Shape, num_classes: int) -> Net:
        widths = [self.width, *(self.width * 2**stage for stage in range(4) for _ in range(4))]
        starts = {5, 9, 13}  # the first layers of stages
        bodies = [
            conv_body(inputs, outputs, stride=2 if k in starts else 1, dropout=self.dropout)
            for k, (inputs, outputs) in enumerate(zip([shape[0], *widths], widths, strict=False))
        ]
        return plain(bodies, widths)
