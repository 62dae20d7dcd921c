"""Goodness as a learned linear read-out of the activity, averaged in the cells of a coarse grid."""
# B batch, C classes, D channels or features

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from onward.core import Goodness, Target
from onward.parts.ops.activity import map_mean, widen
from onward.parts.ops.cells import cell_means
from onward.parts.ops.feature_maps import outputs_feature_maps


class LinearHead(Goodness):
    """One score per class: a learned linear read-out of the activity, its maps averaged in a grid of `cells`, in fp32.

    Without a bias it is Mono-Forward's G = a M^T (Gong, Li, Abdulla 2025; notes on it flatten or pool a map); weights
    begin uniform within 1 / sqrt(fan in), so that the body has a gradient from the first step on. With weights that
    begin at `zero` it is the decoder of the loss `pred` (Nøkland and Eidnes 2019, released code). A map smaller than
    the grid is repeated; features without a map need one cell. If the grid does not divide the sides of a map, cells
    overlap, where the released code of 2019 pads.
    """

    per_class: ClassVar[bool] = True

    def __init__(
        self,
        num_classes: int,
        channels: int,
        *,
        cells: tuple[int, int] = (1, 1),
        bias: bool = True,
        zero: bool = False,
    ):
        """`zero`: whether weights begin at zero or as torch initializes them."""
        super().__init__()
        self.cells = cells
        self.linear = nn.Linear(channels * cells[0] * cells[1], num_classes, bias=bias)
        if zero:
            nn.init.zeros_(self.linear.weight)

    def forward(self, activity: Float[Tensor, "B D ..."]) -> Float[Tensor, "B C"]:
        with torch.autocast(activity.device.type, enabled=False):
            return self.linear(widen(self._in_cells(activity)).flatten(1))

    def reduced(self, activity: Float[Tensor, "B D ..."]) -> Float[Tensor, "B D ..."]:
        """Return the means over cells, whose own means over cells they are, unless the map has fewer pixels."""
        in_cells = self._in_cells(activity)
        return in_cells if in_cells.numel() < activity.numel() else activity

    def _in_cells(self, activity: Float[Tensor, "B D ..."]) -> Float[Tensor, "B D ..."]:
        if self.cells == (1, 1):
            return map_mean(widen(activity))
        if activity.shape[2:] == self.cells and not activity.requires_grad:
            return activity
        # pooling sums in fp32; an fp32 copy of the whole map would cost more than it adds
        return cell_means(activity, self.cells)


class Standardized(Goodness):
    """A linear read-out of channels at mean 0 and variance 1 over all training batches so far: for random features.

    The statistics are means over all batches, so the body should not change.
    """

    per_class: ClassVar[bool] = True
    batches: Tensor
    mean: Tensor
    square: Tensor

    def __init__(self, read_out: LinearHead, channels: int, eps: float = 1e-5):
        super().__init__()
        self.read_out = read_out
        self.eps = eps
        self.register_buffer("batches", torch.zeros(()))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("square", torch.ones(channels))

    def forward(self, activity: Float[Tensor, "B D ..."]) -> Float[Tensor, "B C"]:
        scale = (self.square - self.mean.square() + self.eps).rsqrt()
        mean, scale = (value.view(-1, *[1] * (activity.ndim - 2)) for value in (self.mean, scale))
        return self.read_out((widen(activity) - mean) * scale)

    def update_statistics(self, activity: Float[Tensor, "B D ..."], target: Target) -> None:
        channels = widen(activity).transpose(0, 1).flatten(1)
        self.batches += 1
        self.mean += (channels.mean(dim=1) - self.mean) / self.batches
        self.square += (channels.square().mean(dim=1) - self.square) / self.batches


def grid_within(body: nn.Module, channels: int, features: int) -> tuple[int, int]:
    """Return the largest grid for a body's activity with at most `features` values; without a map it is one cell.

    Raises ValueError if `features` is below 1.
    """
    grid = largest_grid(channels, features)
    return grid if outputs_feature_maps(body) else (1, 1)


def largest_grid(channels: int, features: int, *, side: int = 8) -> tuple[int, int]:
    """Return the rows and columns of the largest grid with at most `features` values; one cell at least.

    Halves rows and columns in turn, beginning at `side` (Nøkland and Eidnes 2019, released code, which begins at the
    map).
    Raises ValueError if `features` is below 1.
    """
    if features < 1:
        raise ValueError(f"features must be at least 1, got {features}: a read-out needs an input")
    rows, columns = side, side
    while channels * rows * columns > features and columns > 1:
        rows, columns = (rows // 2, columns) if rows == columns else (rows, columns // 2)
    return rows, columns


def pooled_linear(num_classes: int, channels: int, *, cells: tuple[int, int] = (1, 1), zero: bool = True) -> LinearHead:
    """The former `PooledLinear`: a linear head whose weights begin at zero by default."""
    return LinearHead(num_classes, channels, cells=cells, zero=zero)


def projection(num_classes: int, channels: int, *, maps: bool, features: int) -> LinearHead:
    """The former `Projection`: a linear head without a bias, on the largest grid with at most `features` values.

    Raises ValueError if `features` is below 1.
    """
    cells = largest_grid(channels, features)
    return LinearHead(num_classes, channels, cells=cells if maps else (1, 1), bias=False)
