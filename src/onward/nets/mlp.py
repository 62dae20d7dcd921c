"""A multi-layer perceptron."""

from dataclasses import dataclass
from itertools import pairwise

from torch import nn

from onward.nets.net import Architecture, Net, Shape, check_sizes, plain


@dataclass(frozen=True)
class MLP(Architecture):
    """Linear layers with ReLU on the flattened image. Raises ValueError for a width or depth below 1."""

    width: int = 1000
    """Units of each layer."""
    depth: int = 3
    """Number of layers."""

    def __post_init__(self):
        if self.width < 1 or self.depth < 1:
            raise ValueError(f"width and depth must be at least 1, got width {self.width} and depth {self.depth}")
        check_sizes(self.width, 0.0)

    def __call__(self, shape: Shape, num_classes: int) -> Net:
        sizes = [shape[0] * shape[1] * shape[2], *[self.width] * self.depth]
        bodies = [
            nn.Sequential(nn.Flatten(), nn.Linear(inputs, outputs), nn.ReLU(inplace=True))
            for inputs, outputs in pairwise(sizes)
        ]
        return plain(bodies, sizes[1:])
