"""Dropout at the price of one random draw for four units."""
# B batch

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Dropout(nn.Module):
    """Sets units to zero with probability `p` while training, and scales the others by 1 / (1 - p).

    On a CPU torch draws a number for every unit, on one thread, which can cost as much as the convolutions. Here every
    64-bit draw serves four units, so that p is met to within 1 / 65536. Elsewhere it is torch's own.
    """

    def __init__(self, p: float):
        super().__init__()
        self.p = p

    def forward(self, x: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        if not self.training or x.device.type != "cpu":
            return nn.functional.dropout(x, self.p, self.training)
        draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        kept = draws.view(torch.int16)[: x.numel()] >= round(self.p * 2**16) - 2**15
        scaled = kept.to(x.dtype).mul_(1 / (1 - self.p))
        like = torch.empty_like(x, device="meta")  # dense, in the memory format of x
        return x * scaled.as_strided(like.shape, like.stride())

    def extra_repr(self) -> str:
        return f"p={self.p}"
