"""Locally connected networks: every unit reads a patch of the layer below, without shared weights."""
# B batch, D features: channels x places, H W map

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from onward.core import Range, Size
from onward.nets.layout import Layout
from onward.nets.net import Architecture, Depth, Net, Shape, plain
from onward.nets.relu import InPlaceReLU

Field = Annotated[int, Range(1, 1024)]
"""Side of a receptive field, in pixels."""


class LocallyConnected(nn.Module):
    """A convolution with different weights at each position; its output is features, not maps.

    Features are ordered channel by channel. A field larger than its input is cropped to the input; `pad` adds zeros
    around it, so that fields at the edge read fewer values, and with stride 1 and an odd field the map keeps its size.
    """

    def __init__(self, shape: Shape, outputs: int, *, field: int, stride: int = 1, pad: bool = False):
        super().__init__()
        channels, *sides = shape
        self.shape = shape
        self.field = (field, field) if pad else (min(field, sides[0]), min(field, sides[1]))
        self.padding = field // 2 if pad else 0
        self.stride = stride
        rows, columns = (
            (side + 2 * self.padding - size) // stride + 1 for side, size in zip(sides, self.field, strict=True)
        )
        self.out_shape: Shape = (outputs, rows, columns)
        inputs = channels * self.field[0] * self.field[1]
        bound = inputs**-0.5  # as torch's linear layers begin
        self.weight = nn.Parameter(torch.empty(rows * columns, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(outputs, rows * columns).uniform_(-bound, bound))

    def forward(self, x: Float[Tensor, "B ..."]) -> Float[Tensor, "B D"]:
        maps = x.reshape(x.shape[0], *self.shape)  # not len(x), which an exported program would fix
        patches = F.unfold(maps, self.field, padding=self.padding, stride=self.stride)
        placed = torch.bmm(patches.permute(2, 0, 1), self.weight)
        return (placed.permute(1, 2, 0) + self.bias).flatten(1)


@dataclass(frozen=True)
class LocalFields(Architecture):
    """Three locally connected layers whose grids shrink, each of about 2000 units (Hinton 2022, section 3.2).

    On 28x28 images: 4x4 places of `width` channels with fields of 10x10 pixels, then 3x3 places of 1.72 and 2x2 places
    of 4 times as many channels, with fields of 2x2 places. 3.027 M parameters at width 128 for gray images.
    Raises ValueError for a size below 1.
    """

    activities: ClassVar[Layout] = "vector"

    width: Size = 128
    """Channels at each place of the first layer."""
    field: Field = 10
    """Side of the receptive field of the first layer, in pixels."""
    stride: Size = 6
    """Stride of the first layer, in pixels."""

    def __call__(self, shape: Shape, num_classes: int) -> Net:
        first = LocallyConnected(shape, self.width, field=self.field, stride=self.stride)
        second = LocallyConnected(first.out_shape, round(self.width * 220 / 128), field=2)
        third = LocallyConnected(second.out_shape, 4 * self.width, field=2)
        return _net([first, second, third])


@dataclass(frozen=True)
class TopographicMaps(Architecture):
    """Locally connected layers of `width` units at every pixel, with fields of 11x11 pixels (Hinton 2022, CIFAR-10).

    3072 units a layer, as many as a color image has values; fields at the edge are smaller. 2.236 M parameters at depth
    2 for color images of 32x32. Raises ValueError for a size below 1 or an even field.
    """

    activities: ClassVar[Layout] = "vector"

    width: Size = 3
    """Units at each pixel."""
    depth: Depth = 2
    """Number of layers."""
    field: Field = 11
    """Side of the receptive field, in pixels; odd."""

    def __post_init__(self):
        super().__post_init__()
        if self.field % 2 == 0:
            raise ValueError(f"field must be odd, so that it has a middle, got {self.field}")

    def __call__(self, shape: Shape, num_classes: int) -> Net:
        layers = []
        for _ in range(self.depth):
            layers.append(LocallyConnected(shape, self.width, field=self.field, pad=True))
            shape = layers[-1].out_shape
        return _net(layers)


def _net(layers: Sequence[LocallyConnected]) -> Net:
    bodies = [nn.Sequential(layer, InPlaceReLU()) for layer in layers]
    return plain(bodies, [layer.bias.numel() for layer in layers])
