"""Pools that halve a map."""
# B batch, D channels, H W map

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Pooling = Literal["average", "rms", "max"]
"""Value of a pooled window: the mean, the root mean square, or the maximum of its pixels."""


def halve(pooling: Pooling) -> nn.Module:
    """Return the pool of 2x2 windows; a window at the edge of an odd map counts its real pixels alone.

    Raises ValueError for an unknown one.
    """
    if pooling == "rms":
        return RMSPool()
    if pooling not in get_args(Pooling):
        raise ValueError(f"pooling must be one of {', '.join(get_args(Pooling))}, got {pooling!r}")
    return nn.MaxPool2d(2, ceil_mode=True) if pooling == "max" else nn.AvgPool2d(2, ceil_mode=True)


class RMSPool(nn.Module):
    """The root mean square of each 2x2 window, so that the mean square of the map survives (ASGE, text).

    A window at the edge of an odd map counts its real pixels alone. The gradient of a silent window is zero.
    """

    def forward(self, x: Float[Tensor, "B D H W"]) -> Float[Tensor, "B D H2 W2"]:
        return _RMSPool.apply(x)


class _RMSPool(torch.autograd.Function):
    """d u / d x = x / (n u) for n pixels with root mean square u, and 0 at u = 0, where autograd has no number."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        pooled = F.avg_pool2d(x.square(), 2, ceil_mode=True).sqrt_()
        ctx.save_for_backward(x, pooled)
        return pooled

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        x, pooled = ctx.saved_tensors
        smallest = torch.finfo(x.dtype).tiny ** 0.5  # below it squares vanish, and the window counts as silent
        share = gradient / pooled.clamp_min(smallest)
        return torch.ops.aten.avg_pool2d_backward(share, x, [2, 2], [2, 2], [0, 0], True, False, None).mul_(x)
