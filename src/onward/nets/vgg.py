"""DeeperForward's fourteen-layer network without skip connections."""

from dataclasses import dataclass
from typing import ClassVar

from onward.core import ShareBelowOne, Size
from onward.nets.layout import Layout
from onward.nets.net import Architecture, Net, Shape, conv_body, plain


@dataclass(frozen=True)
class VGG14(Architecture):
    """Five stages of 2, 3, 3, 3, 3 convolutions with 1, 2, 4, 8, 8 times `width` channels (DeeperForward, figure 2).

    17.774 M parameters at width 70 for color images. Raises ValueError for a width below 1 or a dropout outside [0, 1).
    """

    activities: ClassVar[Layout] = "map"

    width: Size = 70
    """Channels of the first stage."""
    dropout: ShareBelowOne = 0.2
    """Probability of dropping a unit, after every ReLU."""

    def __call__(self, shape: Shape, num_classes: int) -> Net:
        stages = [(1, 2), (2, 3), (4, 3), (8, 3), (8, 3)]
        widths = [self.width * factor for factor, layers in stages for _ in range(layers)]
        starts = {2, 5, 8, 11}  # the first layers of stages, which pool their input
        bodies = [
            conv_body(inputs, outputs, dropout=self.dropout, pool=k in starts)
            for k, (inputs, outputs) in enumerate(zip([shape[0], *widths], widths, strict=False))
        ]
        return plain(bodies, widths)
