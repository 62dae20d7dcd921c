"""A fully connected network with tanh."""

import math
from dataclasses import dataclass
from itertools import pairwise

from torch import nn

from onward.nets import Architecture, Net
from onward.nets.net import Shape, plain


@dataclass(frozen=True)
class TanhLayers(Architecture):
    """Linear layers with tanh."""

    width: int = 64
    """Units of a layer."""
    depth: int = 2
    """Layers."""

    def __call__(self, shape: Shape, num_classes: int) -> Net:
        sizes = [math.prod(shape), *[self.width] * self.depth]
        bodies = [
            nn.Sequential(nn.Flatten(), nn.Linear(inputs, outputs), nn.Tanh()) for inputs, outputs in pairwise(sizes)
        ]
        return plain(bodies, sizes[1:])
