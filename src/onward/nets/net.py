"""What a network is before an algorithm fills the other slots: bodies, joins and widths."""
# B batch, D channels or features, H W map

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from onward.core import Stream
from onward.nets.relu_dropout import ReluDropout

Shape = tuple[int, int, int]
"""Image channels, height, width."""


class Net(NamedTuple):
    """Bodies in order, how each one's output joins the stream, each activity's width, and what shrinks its map.

    A pool stands between goodness and handoff: goodness reads the whole map, the next block gets the small one.
    """

    bodies: Sequence[nn.Module]
    joins: Sequence[nn.Module]
    widths: Sequence[int]
    pools: Sequence[nn.Module]


def plain(bodies: Sequence[nn.Module], widths: Sequence[int]) -> Net:
    """Return a net without skip connections and without pools after its activities."""
    return Net(bodies, [Carry() for _ in bodies], widths, [nn.Identity() for _ in bodies])


class Architecture(ABC):
    """A frozen dataclass: its fields are sizes; called with an image shape, it builds the net."""

    @abstractmethod
    def __call__(self, shape: Shape, num_classes: int) -> Net:
        """Build bodies with fresh weights, drawn from torch's global generator."""


class Carry(nn.Module):
    """Passes on the new activity; skip connections travel on untouched."""

    def forward(self, x: Float[Tensor, "B ..."], *skips: Tensor) -> Stream:
        return (x, *skips)


class Fork(nn.Module):
    """Starts a skip connection from the new activity."""

    def forward(self, x: Float[Tensor, "B ..."]) -> Stream:
        return (x, x)


class AddFork(nn.Module):
    """Adds the skip connection; the sum starts the next one. DeeperForward, eq. 11 for equal widths."""

    def forward(self, x: Float[Tensor, "B D H W"], skip: Float[Tensor, "B D H W"]) -> Stream:
        total = x + skip
        return (total, total)


class ConcatFork(nn.Module):
    """Appends the skip connection's channels; the next one is the result at half the resolution.

    DeeperForward, eq. 11 for unequal widths, and eq. 10: average pooling keeps the mean of the features near zero.
    As in the released code, old channels follow new ones, whatever class they belong to.
    """

    def forward(self, x: Float[Tensor, "B D H W"], skip: Float[Tensor, "B E H W"]) -> Stream:
        joined = torch.cat([x, skip], dim=1)
        return (joined, F.avg_pool2d(joined, 2, ceil_mode=True))


class Drop(nn.Module):
    """Ends the skip connection unused, as in the last layer of the released code."""

    def forward(self, x: Float[Tensor, "B ..."], skip: Tensor) -> Stream:
        return (x,)


def conv_body(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1, dropout: float, pool: bool = False):
    """Return an optional 2x2 average pool, a convolution without bias, ReLU and dropout (DeeperForward's layer).

    Weights are Kaiming normal, fan out. A map of odd size is padded by the pool, never dropped.
    """
    conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    activation = ReluDropout(dropout) if dropout else nn.ReLU(inplace=True)
    return nn.Sequential(*([nn.AvgPool2d(2, ceil_mode=True)] if pool else []), conv, activation)


def check_dropout(dropout: float) -> None:
    """Raise ValueError unless `dropout` is a probability below 1."""
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be in [0, 1), got {dropout}")
