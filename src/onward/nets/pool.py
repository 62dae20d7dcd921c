"""Pools that halve a map."""
# B batch, D channels, H W map

from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from onward.core import constant, rows_at_once, unrectified

Pooling = Literal["average", "rms", "max"]
"""Value of a pooled window: the mean, the root mean square, or the maximum of its pixels."""


def halve(pooling: Pooling) -> nn.Module:
    """Return the pool of 2x2 windows; a window at the edge of an odd map has its real pixels alone.

    Raises ValueError for an unknown one.
    """
    if pooling == "rms":
        return RMSPool()
    if pooling not in get_args(Pooling):
        raise ValueError(f"pooling must be one of {', '.join(get_args(Pooling))}, got {pooling!r}")
    return MaxPool(2, ceil_mode=True) if pooling == "max" else nn.AvgPool2d(2, ceil_mode=True)


class MaxPool(nn.MaxPool2d):
    """The maximum of each window, with torch's values and gradients, bit for bit, and less saved memory.

    It saves one byte per window: torch's saves eight, and the whole map, of which the gradient needs the shape alone.
    Pieces of a few images limit the memory of the computation. Windows do not overlap, and no map is padded.
    """

    def __init__(self, window: int | tuple[int, int], *, ceil_mode: bool = False):
        super().__init__(window, ceil_mode=ceil_mode)

    def forward(self, input: Float[Tensor, "B D H W"]) -> Float[Tensor, "B D H2 W2"]:
        window = self.window
        if torch.compiler.is_exporting() or input.numel() <= SMALL:  # a program is for batches of any size
            return F.max_pool2d(input, window, ceil_mode=self.ceil_mode)
        if not (torch.is_grad_enabled() and input.requires_grad):
            return _pooled(input, window, self.ceil_mode)
        if not spans_a_byte(self, input.shape[3]):
            return F.max_pool2d(input, window, ceil_mode=self.ceil_mode)
        source = unrectified(input)
        return _MaxPool.apply(source, window, self.ceil_mode, source is not input)

    @property
    def window(self) -> list[int]:
        """Rows and columns of a window."""
        return [self.kernel_size] * 2 if isinstance(self.kernel_size, int) else list(self.kernel_size)


def spans_a_byte(pool: MaxPool, columns: int) -> bool:
    """Whether places in a window differ by less than 256 in a map with so many columns: their lowest bytes differ."""
    down, across = pool.window
    return (down - 1) * columns + across <= _BYTE


SMALL = 2**14  # up to so many numbers, the overhead of each operation dominates
_BYTE = 256


class _MaxPool(torch.autograd.Function):
    """Saves the lowest byte of the place of each maximum, its number in the map: windows span less than 256."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, window: list[int], ceil: bool, rectified: bool) -> Tensor:
        ctx.window, ctx.ceil, ctx.like = window, ceil, torch.empty_like(x, device="meta")
        pooled = empty_pooled(x, window, ceil, x.device)
        bytes = torch.empty_like(pooled, dtype=torch.uint8)
        pool_into(pooled, bytes, x, window, ceil)
        ctx.save_for_backward(bytes, *([pooled] if rectified else []))
        return pooled

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        bytes, *pooled = ctx.saved_tensors
        if pooled:  # a window that is silent as a whole; its first unit would get the gradient
            gradient = torch.ops.aten.threshold_backward(gradient, pooled[0], 0)
        spread = torch.empty_like(ctx.like, device=gradient.device)
        spread_into(spread, gradient, bytes, ctx.window, ctx.ceil)
        return spread, None, None, None


def pool_into(pooled: Tensor, bytes: Tensor, x: Tensor, window: list[int], ceil: bool) -> None:
    """Write the maxima of windows into `pooled`, and the lowest bytes of their places into `bytes`."""
    rows = rows_at_once(x)
    for piece, maxima, low in zip(x.split(rows), pooled.split(rows), bytes.split(rows), strict=True):
        low.copy_(_largest(piece, window, ceil, maxima))


def spread_into(spread: Tensor, gradient: Tensor, bytes: Tensor, window: list[int], ceil: bool) -> None:
    """Write the gradient of the map in front of the pool into `spread`: zero but at the maxima."""
    rows = rows_at_once(spread)
    for piece, low, above in zip(spread.split(rows), bytes.split(rows), gradient.split(rows), strict=True):
        torch.ops.aten.max_pool2d_with_indices_backward.grad_input(
            above, piece, window, window, [0, 0], [1, 1], ceil, _places(low, window, piece), grad_input=piece
        )


def _pooled(x: Tensor, window: list[int], ceil: bool) -> Tensor:
    """Pool without a graph: eight bytes for each maximum of a piece, in place of the batch."""
    pooled, rows = empty_pooled(x, window, ceil, x.device), rows_at_once(x)
    for piece, maxima in zip(x.split(rows), pooled.split(rows), strict=True):
        _largest(piece, window, ceil, maxima)
    return pooled


def empty_pooled(x: Tensor, window: list[int], ceil: bool, device: torch.device) -> Tensor:
    """Return a tensor for the pooled map of x, which may be without memory."""
    small = F.max_pool2d(torch.empty_like(x, device="meta"), window, ceil_mode=ceil)
    return torch.empty_like(small, device=device)


def _largest(x: Tensor, window: list[int], ceil: bool, out: Tensor) -> Int64[Tensor, "B D H2 W2"]:
    """Write the maxima into `out` and return their places, numbers within a map."""
    places = torch.empty_like(out, dtype=torch.int64)
    torch.ops.aten.max_pool2d_with_indices.out(x, window, window, [0, 0], [1, 1], ceil, out=out, indices=places)
    return places


def _places(low: UInt8[Tensor, "B D H2 W2"], window: list[int], like: Tensor) -> Int64[Tensor, "B D H2 W2"]:
    """Return places by their lowest bytes, in windows of a map as wide as that of `like`."""
    corners = tuple(low.shape[2:]), tuple(window), like.shape[3], low.device
    return constant(_first_places, *corners) + (low - constant(_first_bytes, *corners))


def _first_places(
    sides: tuple[int, int], window: tuple[int, int], columns: int, device: torch.device
) -> Int64[Tensor, "H2 W2"]:
    """Return the number of the first pixel of each window in a map with so many columns."""
    down, across = (torch.arange(side, device=device) * step for side, step in zip(sides, window, strict=True))
    return down[:, None] * columns + across


def _first_bytes(
    sides: tuple[int, int], window: tuple[int, int], columns: int, device: torch.device
) -> UInt8[Tensor, "H2 W2"]:
    return _first_places(sides, window, columns, device).to(torch.uint8)


class RMSPool(nn.Module):
    """The root mean square of each 2x2 window, which preserves the mean square of the map (ASGE, text).

    A window at the edge of an odd map has its real pixels alone. The gradient of a window of zeros is zero.
    """

    def forward(self, x: Float[Tensor, "B D H W"]) -> Float[Tensor, "B D H2 W2"]:
        return _RMSPool.apply(x)


class _RMSPool(torch.autograd.Function):
    """d u / d x = x / (n u) for n pixels with root mean square u, and 0 at u = 0, where autograd gives NaN."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        pooled = F.avg_pool2d(x.square(), 2, ceil_mode=True).sqrt_()
        ctx.save_for_backward(x, pooled)
        return pooled

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        x, pooled = ctx.saved_tensors
        smallest = torch.finfo(x.dtype).tiny ** 0.5  # below it squares underflow, and the window counts as zero
        share = gradient / pooled.clamp_min(smallest)
        return torch.ops.aten.avg_pool2d_backward(share, x, [2, 2], [2, 2], [0, 0], True, False, None).mul_(x)
