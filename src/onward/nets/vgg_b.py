"""The VGG8b of Nøkland and Eidnes 2019: wide from the first layer on, with one hidden linear layer."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from onward.core import ShareBelowOne, Size
from onward.nets.layout import Layout
from onward.nets.net import Architecture, Carry, Net, Shape
from onward.nets.pool import MaxPool

_SLOPE = 0.01
_LAYERS = ((1, False), (2, True), (2, False), (4, True), (4, True), (4, True))  # times the width; pooled afterwards?


@dataclass(frozen=True)
class VGG8b(Architecture):
    """Six 3 x 3 convolutions of 1, 2, 2, 4, 4, 4 times `width` channels and a linear layer of 8 times.

    Each with batch normalization and leaky ReLU. Maps are halved by max pooling after layers 2, 4, 5 and 6. Dropout
    drops whole channels at the start of every body but the first; as max pooling commutes with dropping a channel, this
    is the paper's dropout before the pool. 8.9 M parameters at width 128 for color images of 32 x 32 pixels.

    Differs from the paper: no bias before batch normalization, which would remove it; and a side of one pixel is not
    halved. Raises ValueError for a width below 1 or a dropout outside [0, 1).
    """

    activities: ClassVar[Layout] = "map"

    width: Size = 128
    """Channels of the first layer."""
    dropout: ShareBelowOne = 0.2
    """Probability of dropping a channel, or a unit of the linear layer's input."""

    def __call__(self, shape: Shape, num_classes: int) -> Net:
        inputs, *sides = shape
        bodies, pools = [], []
        for k, (factor, pooled) in enumerate(_LAYERS):
            outputs = factor * self.width
            conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
            dropout = [nn.Dropout2d(self.dropout)] if self.dropout and k else []
            bodies.append(nn.Sequential(*dropout, conv, nn.BatchNorm2d(outputs), nn.LeakyReLU(_SLOPE, inplace=True)))
            window = (min(2, sides[0]), min(2, sides[1])) if pooled else (1, 1)
            pools.append(MaxPool(window) if max(window) > 1 else nn.Identity())
            sides = [side // step for side, step in zip(sides, window, strict=True)]
            inputs = outputs
        bodies.append(self._linear(inputs, sides))
        pools.append(nn.Identity())
        widths = [factor * self.width for factor, _ in _LAYERS] + [8 * self.width]
        return Net(bodies, [Carry() for _ in bodies], widths, pools)

    def _linear(self, channels: int, sides: list[int]) -> nn.Module:
        outputs = 8 * self.width
        body = nn.Sequential(
            *([nn.Dropout2d(self.dropout)] if self.dropout else []),
            nn.Flatten(),
            nn.Linear(channels * sides[0] * sides[1], outputs, bias=False),
            nn.BatchNorm1d(outputs),
            nn.LeakyReLU(_SLOPE, inplace=True),
        )
        body.activity_layout = "vector"  # pyright: ignore
        return body
