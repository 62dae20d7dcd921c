"""Spatial goodness: the energy of each channel in the cells of a grid, read by a random map (ASGE)."""
# B batch, C classes, D channels or features, H W map, P cells per side of the grid, E = D P P entries of the encoding

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from onward.core import Goodness, unrectified
from onward.parts.ops.activity import widen
from onward.parts.ops.cells import spread_over_cells
from onward.parts.ops.feature_maps import as_map

_PIECE = 8  # samples that a CPU squares at a time, so that the fp32 copy stays in its cache


def grid_for(channels: int, last_channels: int, alpha: float) -> int:
    """Return the cells per side for a layer: (last_channels / channels) ** alpha, rounded, at least 1.

    ASGE: few channels get a fine grid, many a coarse one, so that at alpha 1 channels times cells per side is constant.
    The paper's formula was not available; this agrees with all sizes of the released code, where alpha is always 1.
    """
    return max(1, round((last_channels / channels) ** alpha))


class SpatialGoodness(Goodness):
    """One score per class: a random affine map of the mean squared activity in each of `grid` x `grid` cells, in fp32.

    ASGE: g[d, i, j] = mean of y[d, u, v]^2 over cell (i, j); scores = g R + r, where the encoding g has the order
    channel, row, column. R and r are drawn once, normal with standard deviation `deviation`, and never trained unless
    `trainable`. `power` 1 reads the activity instead of its square. Cells are those of adaptive average pooling: they
    overlap if the grid does not divide the map.

    Raises ValueError for a grid below 1, and, when called, for a map smaller than the grid. Features without a map are
    a map of one pixel.
    """

    per_class: ClassVar[bool] = True
    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        num_classes: int,
        channels: int,
        grid: int = 1,
        *,
        deviation: float | None = None,
        trainable: bool = False,
        power: Literal[1, 2] = 2,
    ):
        """`deviation` is 1 / sqrt(num_classes), as in the released code, unless given."""
        super().__init__()
        if grid < 1:
            raise ValueError(f"the grid must have at least 1 cell per side, got {grid}")
        self.grid = grid
        self.power: Literal[1, 2] = power
        scale = num_classes**-0.5 if deviation is None else deviation
        for name, shape in (("weight", (channels * grid * grid, num_classes)), ("bias", (num_classes,))):
            value = torch.randn(shape) * scale
            if trainable:
                self.register_parameter(name, nn.Parameter(value))
            else:
                self.register_buffer(name, value)

    def forward(self, activity: Float[Tensor, "B D ..."]) -> Float[Tensor, "B C"]:
        with torch.autocast(activity.device.type, enabled=False):
            encoding = encode_cells(activity, self.grid, self.power)
            return torch.addmm(self.bias, encoding, self.weight)

    def extra_repr(self) -> str:
        entries, num_classes = self.weight.shape
        return f"{num_classes}, {entries // self.grid**2}, grid={self.grid}, power={self.power}"


def encode_cells(activity: Float[Tensor, "B D ..."], grid: int, power: Literal[1, 2] = 2) -> Float[Tensor, "B E"]:
    """Return the mean of the activity or of its square in every cell, accumulated in fp32 or wider.

    Raises ValueError for a map smaller than the grid.
    """
    activity = as_map(unrectified(activity) if power == 2 else activity)  # a square's gradient is 0 at silent units
    if min(activity.shape[2:]) < grid:
        height, width = activity.shape[2:]
        raise ValueError(
            f"a map of {width}x{height} pixels cannot be cut into {grid}x{grid} cells; "
            "take larger images, a smaller alpha, or a network whose widths differ less"
        )
    return _Cells.apply(activity, grid, power).flatten(1)


class _Cells(torch.autograd.Function):
    """A mean over cells that saves the activity alone, which the ReLU before it saves anyway.

    d loss / d y[d, u, v] = 2 y[d, u, v] q[d, i(u), j(v)] / (H' W') for cells of H' x W' pixels and q the gradient of
    the encoding; without the 2 y for power 1.
    """

    @staticmethod
    def forward(ctx, activity: Tensor, grid: int, power: int) -> Tensor:
        ctx.save_for_backward(activity)
        ctx.power = power
        small = activity.device.type == "cpu" and not torch.compiler.is_exporting()  # a program is for any batch
        pieces = activity.split(_PIECE) if small else (activity,)
        means = [_cell_mean(widen(piece), grid, power) for piece in pieces]
        return means[0] if len(means) == 1 else torch.cat(means)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        (activity,) = ctx.saved_tensors
        sides, channels_last = activity.shape[2:], activity.stride(1) == 1
        spread = spread_over_cells(gradient, sides, dtype=activity.dtype, channels_last=channels_last, times=ctx.power)
        return spread.mul_(activity) if ctx.power == 2 else spread, None, None


def _cell_mean(wide: Tensor, grid: int, power: int) -> Tensor:
    return F.adaptive_avg_pool2d(wide.square() if power == 2 else wide, grid)
