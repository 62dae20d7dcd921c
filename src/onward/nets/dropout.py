"""Dropout with one random draw for four units."""
# B batch

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from onward.core import numbers


class Dropout(nn.Module):
    """Sets units to zero with probability `p` while training, and scales the others by 1 / (1 - p).

    On a CPU torch draws a number for every unit, on one thread, which can cost as much as the convolutions. Here every
    64-bit draw is used for four units, so that p is exact to 1 / 65536. On other devices it is torch's own.
    """

    def __init__(self, p: float):
        super().__init__()
        self.p = p

    def forward(self, x: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        if not self.training or x.device.type != "cpu":
            return nn.functional.dropout(x, self.p, self.training)
        return x * _kept(x, self.p).to(x.dtype).mul_(1 / (1 - self.p))

    def extra_repr(self) -> str:
        return f"p={self.p}"


def drop_(x: Float[Tensor, "B ..."], p: float) -> Float[Tensor, "B ..."]:
    """Apply the same dropout in place, without a graph."""
    if x.device.type != "cpu":
        return nn.functional.dropout(x, p, inplace=True)
    return x.mul_(_kept(x, p)).mul_(numbers(1 / (1 - p), x.dtype, x.device))


def _kept(x: Tensor, p: float) -> Bool[Tensor, "B ..."]:
    """Draw which units stay, in the memory format of x."""
    draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    kept = draws.view(torch.int16)[: x.numel()] >= round(p * 2**16) - 2**15
    like = torch.empty_like(x, device="meta")  # dense
    return kept.as_strided(like.shape, like.stride())
