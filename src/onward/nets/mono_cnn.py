"""Mono-Forward's convolutional network, a reconstruction."""

from dataclasses import dataclass
from typing import ClassVar

from onward.core import ShareBelowOne, Size
from onward.nets.layout import Layout
from onward.nets.net import Architecture, Carry, Net, Shape, dropped_conv
from onward.nets.pool import MaxPool


@dataclass(frozen=True)
class MonoCNN(Architecture):
    """Four 3x3 convolutions of 1, 2, 4 and 8 times `width` channels with ReLU; maps are halved after each.

    1.551 M parameters at width 64 for color images. Notes on Mono-Forward name the four widths alone: kernels, max
    pools and bias are inferred. Pools come between goodness and handoff. Every body but the first begins with dropout.
    Raises ValueError for a width below 1 or a dropout outside [0, 1).
    """

    activities: ClassVar[Layout] = "map"

    width: Size = 64
    """Channels of the first layer."""
    dropout: ShareBelowOne = 0.0
    """Probability of dropping a value of what enters a layer; the image is kept whole."""

    def __call__(self, shape: Shape, num_classes: int) -> Net:
        widths = [self.width * factor for factor in (1, 2, 4, 8)]
        sizes = zip([shape[0], *widths], widths, strict=False)
        bodies = [dropped_conv(*size, dropout=self.dropout if k else 0.0) for k, size in enumerate(sizes)]
        pools = [MaxPool(2, ceil_mode=True) for _ in widths]
        return Net(bodies, [Carry() for _ in bodies], widths, pools)
