"""A multi-layer perceptron."""

from dataclasses import dataclass
from itertools import pairwise

from torch import nn

from onward.core import Size
from onward.nets.net import Architecture, Depth, Net, Shape, plain


@dataclass(frozen=True)
class MLP(Architecture):
    """Linear layers with ReLU on the flattened image. Raises ValueError for a width or depth below 1."""

    width: Size = 1000
    """Units of each layer."""
    depth: Depth = 3
    """Number of layers."""

    def __call__(self, shape: Shape, num_classes: int) -> Net:
        sizes = [shape[0] * shape[1] * shape[2], *[self.width] * self.depth]
        bodies = [
            nn.Sequential(nn.Flatten(), nn.Linear(inputs, outputs), nn.ReLU(inplace=True))
            for inputs, outputs in pairwise(sizes)
        ]
        return plain(bodies, sizes[1:])
