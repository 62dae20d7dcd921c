"""The network of the airbench speed runs: small, designed to learn 32x32 images in a few epochs."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from onward.core import Size
from onward.nets.layout import Layout
from onward.nets.net import Architecture, Carry, Net, Shape
from onward.nets.pool import MaxPool
from onward.nets.pooled_convolution import PooledConvolution

_DEEPER = 4  # times the width: channels of the four layers behind the first two


@dataclass(frozen=True)
class Airbench(Architecture):
    """Six 3x3 convolutions behind whitened 2x2 patches: 1, 1, 4, 4, 4, 4 times `width` channels (Jordan 2024).

    Each with batch normalization and GELU; every other one halves its map by max pooling before normalization, which
    saves memory. 2.0 M parameters at width 64 for color images, which enter as 24 channels.

    Differs from the source: no bias beside that of batch normalization; torch's initial weights; maps of one pixel are
    not halved; the classifier is the algorithm's; the first two layers may be wider. Raises ValueError for images
    smaller than a patch.
    """

    activities: ClassVar[Layout] = "map"

    whiten: ClassVar[int] = 2

    width: Size = 64
    """Channels of the first two layers; the others have four times as many."""
    first_width: Size | None = None
    """Channels of the first two layers alone; None: `width`."""

    def __call__(self, shape: Shape, num_classes: int) -> Net:
        inputs, *sides = shape
        if min(sides) < 1:
            side = self.whiten
            raise ValueError(f"images must be at least {side}x{side} pixels: the network reads patches of that size")
        bodies, widths = [], []
        deeper = _DEEPER * self.width
        for outputs in (self.first_width or self.width, deeper, deeper):
            for halved in (True, False):
                window = (min(2, sides[0]), min(2, sides[1])) if halved else (1, 1)
                sides = [side // step for side, step in zip(sides, window, strict=True)]
                bodies.append(_body(inputs, outputs, window))
                widths.append(outputs)
                inputs = outputs
        return Net(bodies, [Carry() for _ in bodies], widths, [nn.Identity() for _ in bodies])


def _body(inputs: int, outputs: int, window: tuple[int, int]) -> nn.Module:
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    rest = nn.BatchNorm2d(outputs), nn.GELU()
    return PooledConvolution(conv, MaxPool(window), *rest) if max(window) > 1 else nn.Sequential(conv, *rest)
