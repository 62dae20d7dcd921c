"""Supervised contrastive loss: images of one class should be near each other in a block's output."""
# B batch, C classes, D channels or features, E pooled features

import math
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from onward.core import Auxiliary, Target, constant
from onward.parts.ops.activity import widen
from onward.parts.ops.cells import cell_means
from onward.parts.ops.class_groups import check_groups, group_mean, group_mean_square
from onward.parts.ops.feature_maps import as_map
from onward.parts.ops.unit import unit_length

HIGH, MIDDLE, LOW = 0.8, 0.2, 0.1
"""Temperatures at the start, after the warm-up, and at the end (HCL-FF, released code)."""


class SupervisedContrastive(Auxiliary):
    """Supervised contrastive loss of class-normalized, pooled and projected activities, times `weight`.

    The activity is normalized as by `ClassNorm` and averaged in a grid; then follow a linear projection without bias,
    batch normalization and unit length. Positives of an image are the others of its class in the batch; an image
    without any has term zero. Khosla et al. 2020, eq. 2; HCL-FF, released code. All in fp32.

    The temperature falls linearly from 0.8 to 0.2 in `warm_steps` steps, then along a cosine to 0.1 at step `steps`,
    where the released code counts epochs; without `steps` it stays 0.2. The steps taken are part of its state.

    It couples the samples of a batch: with micro-batches, only those of the same piece are compared, and each piece
    counts as a step. Raises ValueError for uneven class groups, a weight that is not positive, or more warm-up than
    steps.
    """

    couples_samples: ClassVar[bool] = True
    taken: Tensor

    def __init__(
        self,
        num_classes: int,
        channels: int,
        *,
        maps: bool,
        weight: float = 1.0,
        features: int = 128,
        warm_steps: int = 0,
        steps: int = 0,
    ):
        super().__init__()
        check_groups(num_classes, channels)
        if not (weight > 0 and 0 <= warm_steps <= max(steps, 0)):
            raise ValueError(
                f"contrast needs a weight > 0 and no more warm_steps than steps, got {weight}, {warm_steps} and {steps}"
            )
        self.num_classes = num_classes
        self.weight = weight
        self.warm_steps, self.steps = warm_steps, steps
        self.cells = grid_of(channels) if maps else 1
        self.project = nn.Linear(channels * self.cells**2, features, bias=False)
        self.norm = nn.BatchNorm1d(features, track_running_stats=False)
        self.register_buffer("taken", torch.zeros((), dtype=torch.int64))

    def forward(self, activity: Float[Tensor, "B D ..."], target: Target) -> Float[Tensor, "B"]:
        if len(activity) < 2:  # nothing to compare with, and no statistics
            return widen(activity).new_zeros(len(activity))
        with torch.autocast(activity.device.type, enabled=False):
            features = pooled_class_norm(activity, self.num_classes, self.cells)
            terms = contrast(self.norm(self.project(features)), target.label, self.temperature())
        if self.training:
            self.taken += 1
        return self.weight * terms

    def temperature(self) -> Tensor:
        """Return the temperature of the next step, on the module's device."""
        taken = self.taken.to(torch.float32)
        if not self.steps:
            return torch.full_like(taken, MIDDLE)
        warming = HIGH + (MIDDLE - HIGH) * taken / max(1, self.warm_steps)
        progress = ((taken - self.warm_steps) / max(1, self.steps - self.warm_steps)).clamp(0, 1)
        cooling = LOW + (MIDDLE - LOW) * (1 + torch.cos(math.pi * progress)) / 2
        return torch.where(taken < self.warm_steps, warming, cooling)


def contrast(
    vectors: Float[Tensor, "B E"], labels: Int64[Tensor, "B"], temperature: Float[Tensor, ""] | float
) -> Float[Tensor, "B"]:
    """Return each image's mean negative log-probability of its positives among all others, by cosine / temperature."""
    unit = unit_length(vectors, eps=1e-24)
    itself = constant(_diagonal, len(labels), labels.device)
    likely = (unit @ unit.T / temperature).masked_fill(itself, -math.inf).log_softmax(dim=1)
    positive = (labels[:, None] == labels[None, :]) & ~itself
    return -likely.masked_fill(~positive, 0).sum(dim=1) / positive.sum(dim=1).clamp_min(1)


def _diagonal(count: int, device: torch.device) -> Bool[Tensor, "B B"]:
    return torch.eye(count, dtype=torch.bool, device=device)


def pooled_class_norm(
    activity: Float[Tensor, "B D ..."], num_classes: int, cells: int, eps: float = 1e-5
) -> Float[Tensor, "B E"]:
    """Bring each class group to mean 0 and variance 1, then average maps in `cells` x `cells` cells; in fp32 or wider.

    Averaging is linear, so it comes first here: no normalized map is ever written or kept for the backward pass.
    """
    pooled = cell_means(activity, (cells, cells)) if activity.ndim > 2 else activity
    groups = widen(pooled).unflatten(1, (num_classes, -1)).flatten(2)
    sides = as_map(activity).shape[2:] if activity.ndim > 2 else ()
    even = all(side % cells == 0 for side in sides)  # then the mean of all cells is that of the map
    mean = groups.mean(dim=2) if even else group_mean(activity, num_classes)
    variance = (group_mean_square(activity, num_classes) - mean.square()).clamp_min(0)
    return ((groups - mean[..., None]) * (variance + eps).rsqrt()[..., None]).flatten(1)


def grid_of(channels: int) -> int:
    """Return the side of the grid: 4 for up to 100 channels, 2 for up to 400, else 1 (HCL-FF, released code).

    With one channel per class the mean over a whole normalized map is zero, so that narrow layers need more cells.
    """
    return 4 if channels <= 100 else 2 if channels <= 400 else 1
