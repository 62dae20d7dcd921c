"""Means over the cells of a grid, and their gradient."""
# B batch, D channels, H W map, P Q rows and columns of the grid

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from onward.core import constant
from onward.parts.ops.feature_maps import as_map


def cell_means(activity: Float[Tensor, "B D ..."], grid: tuple[int, int]) -> Float[Tensor, "B D P Q"]:
    """Return the mean of each channel in every cell, as adaptive average pooling does, with a faster gradient.

    Cells overlap if the grid does not divide the map; a map smaller than the grid is repeated. Cells are summed in fp32
    and then rounded to the activity's own precision. A map that has the size of the grid is returned as it is.
    """
    activity = as_map(activity)
    return activity if activity.shape[2:] == grid else _CellMeans.apply(activity, grid)


def spread_over_cells(
    gradient: Float[Tensor, "B D P Q"],
    sides: tuple[int, int],
    *,
    dtype: torch.dtype,
    channels_last: bool,
    times: int = 1,
) -> Float[Tensor, "B D H W"]:
    """Return `times` the gradient of a map of `sides` pixels from that of its cells' means.

    Computed as a product with a matrix of zeros and ones, channels last, so that overlapping cells are as fast.
    """
    wide, grid = torch.promote_types(gradient.dtype, torch.float32), (gradient.shape[2], gradient.shape[3])
    shares = gradient.flatten(2).transpose(1, 2)
    if gradient.dtype == dtype == wide and _even(sides, grid):  # cells of one size: the product divides as well
        spread = torch.matmul(constant(_means, tuple(sides), grid, times, dtype, gradient.device), shares)
    else:
        sizes = constant(_sizes, tuple(sides), grid, times, wide, gradient.device)
        spread = torch.matmul(
            constant(_members, tuple(sides), grid, dtype, gradient.device), (shares / sizes).to(dtype)
        )
    spread = spread.transpose(1, 2).unflatten(2, sides)
    return spread if channels_last else spread.contiguous()


class _CellMeans(torch.autograd.Function):
    """Saves only the shape of the map for its gradient."""

    @staticmethod
    def forward(ctx, activity: Tensor, grid: tuple[int, int]) -> Tensor:
        ctx.sides, ctx.dtype, ctx.channels_last = activity.shape[2:], activity.dtype, activity.stride(1) == 1
        return F.adaptive_avg_pool2d(activity, grid)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        spread = spread_over_cells(gradient, ctx.sides, dtype=ctx.dtype, channels_last=ctx.channels_last)
        return spread, None


def _members(
    sides: tuple[int, int], grid: tuple[int, int], dtype: torch.dtype, device: torch.device
) -> Float[Tensor, "HW PQ"]:
    """Return which pixel is in which cell, as ones and zeros."""
    rows, columns = (_line(side, cells, device) for side, cells in zip(sides, grid, strict=True))
    return torch.einsum("hp,wq->hwpq", rows, columns).flatten(2).flatten(0, 1).to(dtype)


def _sizes(
    sides: tuple[int, int], grid: tuple[int, int], times: int, dtype: torch.dtype, device: torch.device
) -> Float[Tensor, "PQ 1"]:
    """Return the number of pixels of each cell, divided by `times`."""
    return _members(sides, grid, dtype, device).sum(dim=0)[:, None] / times


def _means(
    sides: tuple[int, int], grid: tuple[int, int], times: int, dtype: torch.dtype, device: torch.device
) -> Float[Tensor, "HW PQ"]:
    """Return the share of each pixel in the mean of each cell, times `times`."""
    return _members(sides, grid, dtype, device) / _sizes(sides, grid, times, dtype, device).T


def _even(sides: tuple[int, int], grid: tuple[int, int]) -> bool:
    """Whether all cells have the same number of pixels, a power of two, by which dividing is exact."""
    size = (sides[0] // grid[0]) * (sides[1] // grid[1])
    return sides[0] % grid[0] == 0 == sides[1] % grid[1] and size & (size - 1) == 0


def _line(side: int, cells: int, device: torch.device) -> Float[Tensor, "H P"]:
    """Cell p of a line covers the pixels from floor(p H / P) up to, not including, ceil((p + 1) H / P)."""
    cell, pixel = torch.arange(cells, device=device), torch.arange(side, device=device)[:, None]
    first, end = cell * side // cells, -(-(cell + 1) * side // cells)
    return ((pixel >= first) & (pixel < end)).float()
