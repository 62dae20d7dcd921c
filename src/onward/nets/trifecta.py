"""The convolutional networks of The Trifecta; Distance-Forward, whose own are unknown, is trained on them too."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from onward.core import ShareBelowOne, Size
from onward.nets.dropout import Dropout
from onward.nets.layout import Layout
from onward.nets.net import Architecture, Carry, Net, Shape
from onward.nets.pool import MaxPool
from onward.nets.relu import InPlaceReLU

Weights = Literal["kaiming", "uniform"]
"""kaiming: normal, fan in; uniform: torch's initial weights, as in the released code."""


@dataclass(frozen=True)
class Trifecta6(Architecture):
    """Six 3x3 convolutions of 1, 1, 2, 2, 2 and 4 times `width` channels; maps shrink after 1, 3 and 6.

    Batch norm, convolution, ReLU: the input of every convolution is normalized. Dooms et al. 2023, released code.
    2.806 M parameters at full width for color images, 2.808 M with a label channel. The 2x2 max pools come between
    goodness and handoff (the released code reads goodness after them), so that only the ReLU's output is saved.
    Raises ValueError for a width below 1 or a dropout outside [0, 1).
    """

    activities: ClassVar[Layout] = "map"

    width: Size = 128
    """Channels of the first layer."""
    dropout: ShareBelowOne = 0.0
    """Probability of dropping a unit, after every ReLU."""
    weights: Weights = "kaiming"
    """How convolutions begin."""

    def __call__(self, shape: Shape, num_classes: int) -> Net:
        factors = (1, 1, 2, 2, 2, 4)
        return _build(shape[0], [self.width * factor for factor in factors], {0, 2, 5}, self.dropout, self.weights)


@dataclass(frozen=True)
class Trifecta12(Architecture):
    """Twelve 3x3 convolutions of 1, 4 x 2, 4 x 4 and 3 x 8 times `width` channels; maps shrink after 2, 6 and 10.

    8.486 M parameters at full width for color images, with or without a label channel; otherwise as `Trifecta6`.
    Raises ValueError for a width below 1 or a dropout outside [0, 1).
    """

    activities: ClassVar[Layout] = "map"

    width: Size = 64
    """Channels of the first layer."""
    dropout: ShareBelowOne = 0.0
    """Probability of dropping a unit, after every ReLU."""
    weights: Weights = "kaiming"
    """How convolutions begin."""

    def __call__(self, shape: Shape, num_classes: int) -> Net:
        factors = (1, 2, 2, 2, 2, 4, 4, 4, 4, 8, 8, 8)
        return _build(shape[0], [self.width * factor for factor in factors], {1, 5, 9}, self.dropout, self.weights)


def _build(channels: int, widths: Sequence[int], pooled: set[int], dropout: float, start: Weights) -> Net:
    sizes = zip([channels, *widths], widths, strict=False)
    bodies = [_body(inputs, outputs, dropout, start) for inputs, outputs in sizes]
    pools = [MaxPool(2, ceil_mode=True) if k in pooled else nn.Identity() for k in range(len(widths))]
    return Net(bodies, [Carry() for _ in bodies], widths, pools)


def _body(inputs: int, outputs: int, dropout: float, start: Weights) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    if start == "kaiming":
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    layers = [nn.BatchNorm2d(inputs), conv, InPlaceReLU()]
    return nn.Sequential(*layers, *([Dropout(dropout)] if dropout else []))
