"""CwComp's networks: convolutions over all channels alternate with convolutions inside class groups."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from onward.core import Size
from onward.nets.layout import Layout
from onward.nets.net import Architecture, Net, Shape, plain
from onward.nets.pool import MaxPool
from onward.nets.pooled_convolution import PooledConvolution


@dataclass(frozen=True)
class CFSE(Architecture):
    """Four 3x3 convolutions of 1, 4, 12 and 24 times `width` channels per class; every second one is grouped by class.

    Convolution, a 2x2 max pool after every second one, ReLU, batch norm: goodness reads normalized activities (CwComp,
    released code). Widths are 20, 80, 240, 480 for ten classes. Maps of odd sides are padded by the pool.
    Raises ValueError for a width below 1.
    """

    activities: ClassVar[Layout] = "map"

    width: Size = 2
    """Channels per class of the first layer."""
    grouped: bool = True
    """Whether every second convolution stays inside class groups (CFSE); else all read all channels (FFCNN)."""

    def __call__(self, shape: Shape, num_classes: int) -> Net:
        widths = [num_classes * self.width * factor for factor in (1, 4, 12, 24)]
        return _build(shape[0], widths, [1, num_classes, 1, num_classes] if self.grouped else [1] * 4)


@dataclass(frozen=True)
class CFSE6(Architecture):
    """Six convolutions as in `CFSE`, for many classes: the first four are grouped by superclass, the last two by class.

    3, 6, 12 and 20 times `width` channels per superclass, then 8 and 16 times `width` per class: 60, 120, 240, 400,
    800, 1600 for the 100 classes and 20 superclasses of CIFAR-100. Raises ValueError for a width or superclasses
    below 1.
    """

    activities: ClassVar[Layout] = "map"

    width: Size = 1
    """Multiple of the published number of channels."""
    superclasses: Size = 20
    """Groups of the first four layers."""

    def __call__(self, shape: Shape, num_classes: int) -> Net:
        coarse = [self.superclasses * self.width * factor for factor in (3, 6, 12, 20)]
        fine = [num_classes * self.width * factor for factor in (8, 16)]
        return _build(shape[0], [*coarse, *fine], [1, self.superclasses, 1, self.superclasses, 1, num_classes])


def _build(channels: int, widths: Sequence[int], groups: Sequence[int]) -> Net:
    sizes = zip([channels, *widths], widths, groups, strict=False)
    return plain([_body(*size, pool=k % 2 == 1) for k, size in enumerate(sizes)], widths)


def _body(inputs: int, outputs: int, groups: int, *, pool: bool) -> nn.Module:
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, groups=groups)
    rest = nn.ReLU(inplace=True), nn.BatchNorm2d(outputs, eps=1e-4)
    return PooledConvolution(conv, MaxPool(2, ceil_mode=True), *rest) if pool else nn.Sequential(conv, *rest)
