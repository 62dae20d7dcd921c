"""CaFo's network of three blocks."""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from torch import nn

from onward.core import Size
from onward.nets.layout import Layout
from onward.nets.net import Architecture, Net, Shape, plain
from onward.nets.pool import MaxPool
from onward.nets.pooled_convolution import PooledConvolution


@dataclass(frozen=True)
class CaFoCNN(Architecture):
    """Three 3x3 convolutions of 1, 4 and 16 times `width` channels, each with a 2x2 max pool, ReLU and batch norm.

    0.630 M parameters at width 32 for color images (CaFo, released code). Maps of odd sides are padded by the pool.
    Raises ValueError for a width below 1.
    """

    activities: ClassVar[Layout] = "map"

    width: Size = 32
    """Channels of the first block."""

    def __call__(self, shape: Shape, num_classes: int) -> Net:
        widths = [self.width * factor for factor in (1, 4, 16)]
        return plain([_body(*sizes) for sizes in pairwise([shape[0], *widths])], widths)


def _body(inputs: int, outputs: int) -> nn.Module:
    pool = MaxPool(2, ceil_mode=True)
    conv = nn.Conv2d(inputs, outputs, 3, padding=1)
    return PooledConvolution(conv, pool, nn.ReLU(inplace=True), nn.BatchNorm2d(outputs, eps=1e-4))
