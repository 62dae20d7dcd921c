"""Unit length: each sample divided by its own length, with a gradient for which only the sample is saved."""
# B batch

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from onward.core import numbers


def unit_length(x: Float[Tensor, "B ..."], eps: float, *, count: int = 1) -> Float[Tensor, "B ..."]:
    """Return x / sqrt(its squares' sum / `count` + eps) for each sample, summed in fp32 or wider.

    With `count` 1 all lengths are 1; with as many as there are values, the squares of a sample average to 1.
    """
    if torch.is_grad_enabled() and x.requires_grad:
        return _UnitLength.apply(x, eps, count)
    return x * unit_scale(x, eps, count).to(x.dtype)


def unit_scale(x: Float[Tensor, "B ..."], eps: float, count: int) -> Float[Tensor, "B ..."]:
    """Return the factor of each sample, in fp32 or wider, shaped to broadcast.

    Samples are not flattened: that would copy channels-last maps and change their layout.
    """
    wide = torch.promote_types(x.dtype, torch.float32)
    length = torch.linalg.vector_norm(x, dim=tuple(range(1, x.ndim)), keepdim=True, dtype=wide)
    return torch.addcmul(numbers(eps, wide, x.device), length, length, value=1 / count).rsqrt_()


class _UnitLength(torch.autograd.Function):
    """With s the scale: gradient to x = s g - s^3 x (x . g) / count."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float, count: int) -> Tensor:
        scale = unit_scale(x, eps, count)
        ctx.save_for_backward(x, scale)
        ctx.count = count
        return x * scale.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, scale = ctx.saved_tensors
        along = torch.sum(gradient * x, dim=tuple(range(1, x.ndim)), keepdim=True, dtype=scale.dtype)
        along = (along * scale.pow(3)).to(x.dtype)
        return torch.addcmul(gradient * scale.to(x.dtype), x, along, value=-1 / ctx.count), None, None
