"""Class anchors: the score of a class is the cosine between an activity and the anchor of that class."""
# B batch, C classes, D channels or features, F features after pooling, H W map

from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from onward.core import Goodness, Target
from onward.parts.ops.activity import widen
from onward.parts.ops.cells import cell_means
from onward.parts.ops.one_hot import one_hot
from onward.parts.ops.unit import unit_length

_EPS = 1e-24  # of a squared length: vectors shorter than 1e-12 are not brought to length 1


def direction(activity: Float[Tensor, "B D ..."], grid: int = 1) -> Float[Tensor, "B F"]:
    """Return each activity as a vector of length 1 in fp32: its map averaged in `grid` x `grid` cells, flattened.

    Each cell is summed in fp32 and then rounded to the activity's own precision. A map smaller than the grid repeats
    its values, which changes no angle; an activity without a map has no cells.
    """
    cells = cell_means(activity, (grid, grid)) if activity.ndim > 2 else activity
    return unit_length(widen(cells).flatten(1), _EPS)


class LearnedAnchors(Goodness):
    """One score per class: the cosine between the activity's direction and a learned anchor, in fp32.

    Distance-Forward, a reconstruction: with lengths 1, squared distance = 2 - 2 * score, so that a margin between
    distances is twice the margin between scores. Raises ValueError for a grid below 1.
    """

    per_class: ClassVar[bool] = True

    def __init__(self, num_classes: int, channels: int, grid: int = 1):
        super().__init__()
        _check_grid(grid)
        self.grid = grid
        self.anchors = nn.Parameter(torch.randn(num_classes, channels * grid**2) * channels**-0.5 / grid)

    def forward(self, activity: Float[Tensor, "B D ..."]) -> Float[Tensor, "B C"]:
        with torch.autocast(activity.device.type, enabled=False):
            return F.linear(direction(activity, self.grid), unit_length(self.anchors, _EPS))


class RunningAnchors(Goodness):
    """One score per class: the cosine between the activity's direction and the running centroid of the class, in fp32.

    Distance-Forward, a reconstruction: centroid <- momentum * centroid + (1 - momentum) * mean direction of the class
    in the batch. No gradient reaches it. A training batch is scored by the centroids of earlier batches and updates
    them afterwards, once, even if it is computed twice; each micro-batch counts as a batch. The centroid of a class
    that is not in a batch is unchanged. Centroids begin random, and so short that the first image of a class sets the
    direction. Raises ValueError for a grid below 1 or a momentum outside [0, 1).
    """

    per_class: ClassVar[bool] = True
    centroids: Tensor

    def __init__(self, num_classes: int, channels: int, grid: int = 1, momentum: float = 0.99):
        super().__init__()
        _check_grid(grid)
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {momentum}")
        self.grid = grid
        self.momentum = momentum
        start = torch.randn(num_classes, channels * grid**2)
        self.register_buffer("centroids", 1e-6 * F.normalize(start, dim=1))

    def forward(self, activity: Float[Tensor, "B D ..."]) -> Float[Tensor, "B C"]:
        with torch.autocast(activity.device.type, enabled=False):
            return F.linear(direction(activity, self.grid), unit_length(self.centroids, _EPS))

    @torch.no_grad()
    def update_statistics(self, activity: Float[Tensor, "B D ..."], target: Target) -> None:
        if not self.training:
            return
        with torch.autocast(activity.device.type, enabled=False):
            directions = direction(activity, self.grid).to(self.centroids.dtype)
            members = target.of_label(one_hot, len(self.centroids), directions.dtype)
            counts = members.sum(dim=0)[:, None]
            means = members.T @ directions / counts.clamp_min(1)
            self.centroids.lerp_(means, counts.clamp_max(1 - self.momentum))  # 0 where the class is not in the batch


def _check_grid(grid: int) -> None:
    if grid < 1:
        raise ValueError(f"grid must be at least 1, got {grid}")
