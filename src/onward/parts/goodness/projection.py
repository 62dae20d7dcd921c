"""Goodness as a learned projection of the activity to the classes (Mono-Forward)."""
# B batch, C classes, D channels or features

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from onward.core import Goodness
from onward.parts.goodness.linear import largest_grid
from onward.parts.ops.activity import widen
from onward.parts.ops.cells import cell_means


class Projection(Goodness):
    """One score per class: G = a M^T with a learned matrix M and no bias, in fp32.

    Mono-Forward (Gong, Li, Abdulla 2025). Maps are averaged in a grid with at most `features` values in all, and a map
    smaller than the grid is repeated: the paper, of which notes alone were at hand, flattens or pools. M begins uniform
    within 1 / sqrt(fan in), so that the body has a gradient from the first step on.
    Raises ValueError if not a single value may be looked at.
    """

    per_class: ClassVar[bool] = True

    def __init__(self, num_classes: int, channels: int, *, maps: bool, features: int):
        super().__init__()
        if features < 1:
            raise ValueError(f"features must be at least 1, got {features}: a projection has to look at something")
        self.cells = largest_grid(channels, features) if maps else (1, 1)
        self.linear = nn.Linear(channels * self.cells[0] * self.cells[1], num_classes, bias=False)

    def forward(self, activity: Float[Tensor, "B D ..."]) -> Float[Tensor, "B C"]:
        with torch.autocast(activity.device.type, enabled=False):
            if activity.ndim == 4:
                activity = cell_means(activity, self.cells)
            return self.linear(widen(activity).flatten(1))
