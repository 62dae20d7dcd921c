"""Handoff: pooling, normalization and skip connections between two blocks."""
# B batch, C classes, D channels or features

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from onward.core import Stream, rows_at_once
from onward.parts.ops.class_groups import check_groups, group_norm
from onward.parts.ops.unit import unit_length, unit_scale


class Handoff(nn.Module):
    """Pools an activity, normalizes it, then joins it with the skip connections of the stream.

    With `overwrite` it may normalize the activity in place, which saves one map; not allowed with a graph.
    """

    overwrites: ClassVar[bool] = True

    def __init__(self, normalize: nn.Module, join: nn.Module, pool: nn.Module | None = None):
        super().__init__()
        self.pool = pool if pool is not None else nn.Identity()
        self.normalize = normalize
        self.join = join

    def forward(self, activity: Float[Tensor, "B ..."], *skips: Tensor, overwrite: bool = False) -> Stream:
        pooled = self.pool(activity)
        if overwrite and getattr(self.normalize, "overwrites", False) and not torch.is_grad_enabled():
            return self.join(self.normalize(pooled, overwrite=True), *skips)
        return self.join(self.normalize(pooled), *skips)


class UnitLength(nn.Module):
    """Divides each sample by its root mean square: the direction stays, the goodness is gone (Hinton 2022).

    Length one per feature: the vector's squares average to 1, so that the scale does not depend on the width.
    """

    overwrites: ClassVar[bool] = True

    def __init__(self, eps: float = 1e-8):
        super().__init__()
        self.eps = eps

    def forward(self, activity: Float[Tensor, "B ..."], *, overwrite: bool = False) -> Float[Tensor, "B ..."]:
        count = activity[0].numel()
        if overwrite:
            return activity.mul_(unit_scale(activity, self.eps, count).to(activity.dtype))
        return unit_length(activity, self.eps, count=count)


class UnitInput(nn.Module):
    """Divides each image by its root mean square, in front of the layer that reads it, a convolution or a product.

    Under autocast it gives the precision in which that layer computes, which rounds the same numbers: the image exists
    once in fp32, not twice.
    """

    def __init__(self, eps: float = 1e-8):
        super().__init__()
        self.eps = eps

    def forward(self, x: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        count, kind = x[0].numel(), x.device.type
        rounds = x.dtype == torch.float32 and torch.is_autocast_enabled(kind) and not torch.compiler.is_exporting()
        if not rounds or (torch.is_grad_enabled() and x.requires_grad):
            return unit_length(x, self.eps, count=count)
        rounded = torch.empty_like(x, dtype=torch.get_autocast_dtype(kind))
        scale, rows = unit_scale(x, self.eps, count), rows_at_once(x)
        for images, scales, into in zip(x.split(rows), scale.split(rows), rounded.split(rows), strict=True):
            into.copy_(images * scales)
        return rounded


class ClassNorm(nn.Module):
    """Normalizes each sample's class groups to mean 0 and variance 1, unscaled (DeeperForward, eq. 7 to 9).

    The mean that it removes is the goodness of `ClassMean`, exactly. Raises ValueError for uneven groups.
    """

    overwrites: ClassVar[bool] = True

    def __init__(self, num_classes: int, channels: int, eps: float = 1e-5):
        super().__init__()
        check_groups(num_classes, channels)
        self.num_classes = num_classes
        self.eps = eps

    def forward(self, activity: Float[Tensor, "B D ..."], *, overwrite: bool = False) -> Float[Tensor, "B D ..."]:
        if torch.is_grad_enabled() and activity.requires_grad:
            return torch.group_norm(activity, self.num_classes, eps=self.eps)
        return group_norm(activity, self.num_classes, self.eps, overwrite=overwrite)


class SampleNorm(nn.Module):
    """Normalizes each sample to mean 0 and variance 1 over all its features: the input layer norm of DeeperForward."""

    def __init__(self, eps: float = 1e-5):
        super().__init__()
        self.eps = eps

    def forward(self, x: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        return torch.group_norm(x, 1, eps=self.eps)  # which takes a sample of one value as well
