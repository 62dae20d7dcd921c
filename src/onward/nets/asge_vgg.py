"""ASGE's networks of 3x3 convolutions: seven and ten layers, pooled after the goodness."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from onward.core import ShareBelowOne, Size
from onward.nets.layout import Layout
from onward.nets.net import Architecture, Carry, Net, Shape, dropped_conv
from onward.nets.pool import Pooling, halve


@dataclass(frozen=True)
class VGG8(Architecture):
    """Seven convolutions of 1, 2, 2, 4, 4, 4, 4 times `width` channels; the eighth layer is the classifier (ASGE).

    9.148 M parameters at width 128 for color images. Maps are halved behind layers 1, 3, 4 and 5, counted from 0.
    Raises ValueError for a width below 1 or a dropout outside [0, 1).
    """

    activities: ClassVar[Layout] = "map"

    width: Size = 128
    """Channels of the first layer."""
    pooling: Pooling = "average"
    """average: the released code; rms: the paper's text; max."""
    dropout: ShareBelowOne = 0.1
    """Probability of dropping a value of what enters a layer; the image is kept whole."""

    def __call__(self, shape: Shape, num_classes: int) -> Net:
        widths = [self.width * factor for factor in (1, 2, 2, 4, 4, 4, 4)]
        return _build(shape[0], widths, pooled={1, 3, 4, 5}, pooling=self.pooling, dropout=self.dropout)


@dataclass(frozen=True)
class VGG11(Architecture):
    """Ten convolutions of 1, 2, 2 and then 4 times `width` channels; the eleventh layer is the classifier (ASGE).

    16.228 M parameters at width 128 for color images. Maps are halved behind layers 1, 3, 5 and 7, counted from 0.
    Raises ValueError for a width below 1 or a dropout outside [0, 1).
    """

    activities: ClassVar[Layout] = "map"

    width: Size = 128
    """Channels of the first layer."""
    pooling: Pooling = "average"
    """average: the released code; rms: the paper's text; max."""
    dropout: ShareBelowOne = 0.1
    """Probability of dropping a value of what enters a layer; the image is kept whole."""

    def __call__(self, shape: Shape, num_classes: int) -> Net:
        widths = [self.width * factor for factor in (1, 2, 2, *[4] * 7)]
        return _build(shape[0], widths, pooled={1, 3, 5, 7}, pooling=self.pooling, dropout=self.dropout)


def _build(channels: int, widths: Sequence[int], *, pooled: set[int], pooling: Pooling, dropout: float) -> Net:
    inputs = [channels, *widths]
    bodies = [dropped_conv(inputs[k], width, dropout=dropout if k else 0.0) for k, width in enumerate(widths)]
    pools = [halve(pooling) if k in pooled else nn.Identity() for k in range(len(widths))]
    return Net(bodies, [Carry() for _ in bodies], widths, pools)
