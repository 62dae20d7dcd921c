"""A multi-layer perceptron."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import ClassVar

from torch import nn

from onward.core import Size
from onward.nets.layout import Layout
from onward.nets.net import Architecture, Depth, Net, Shape, plain
from onward.nets.relu import InPlaceReLU


@dataclass(frozen=True)
class MLP(Architecture):
    """Linear layers with ReLU on the flattened input. Raises ValueError for a width or depth below 1."""

    activities: ClassVar[Layout] = "vector"

    takes: ClassVar[tuple[str, ...]] = ("images", "table", "windows", "array")

    width: Size = 1000
    """Units of each layer."""
    depth: Depth = 3
    """Number of layers."""

    def __call__(self, shape: Shape, num_classes: int) -> Net:
        return _dense(shape, [self.width] * self.depth)


@dataclass(frozen=True)
class Dense(Architecture):
    """Linear layers with ReLU on the flattened input, of individual sizes. Raises ValueError without any layer."""

    activities: ClassVar[Layout] = "vector"

    takes: ClassVar[tuple[str, ...]] = MLP.takes

    hidden: tuple[Size, ...] = (100, 100)
    """Units of each layer."""

    def __post_init__(self):
        super().__post_init__()
        if not self.hidden:
            raise ValueError("hidden is empty: give the units of one layer or more, such as (100, 100)")

    def __call__(self, shape: Shape, num_classes: int) -> Net:
        return _dense(shape, self.hidden)


def _dense(shape: Shape, hidden: Sequence[int]) -> Net:
    sizes = [prod(shape), *hidden]
    bodies = [
        nn.Sequential(nn.Flatten(), nn.Linear(inputs, outputs), InPlaceReLU()) for inputs, outputs in pairwise(sizes)
    ]
    return plain(bodies, sizes[1:])
