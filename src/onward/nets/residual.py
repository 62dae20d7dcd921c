"""Residual networks whose skip connections are part of the stream and have no weights."""
# B batch, D E G channels, H W map

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from onward.core import Stream
from onward.nets.net import Carry, Net, conv_body

ConcatOrder = Literal["append", "by_class"]
"""append: old channels follow new ones, as in the released code; by_class: each class's old follow its new ones."""


class Conv(NamedTuple):
    """The convolution of one layer."""

    inputs: int
    outputs: int
    kernel: int = 3
    stride: int = 1


class Unit(NamedTuple):
    """The layers that one skip connection bypasses, and the channels after it has joined."""

    convs: tuple[Conv, ...]
    width: int

    @property
    def shrinks(self) -> bool:
        """Whether these layers shrink the map, so that the skip connection is pooled at its start."""
        return any(conv.stride > 1 for conv in self.convs)

    @property
    def widens(self) -> bool:
        """Whether the skip connection is concatenated; otherwise it is added."""
        return self.width != self.convs[0].inputs


def residual(
    stem: Conv, units: Sequence[Unit], num_classes: int, *, dropout: float, concat: ConcatOrder = "append"
) -> Net:
    """Return a net of a first layer and `units` (DeeperForward, eq. 10 and 11).

    A skip connection starts before a unit and joins after its last layer: it is added to equally many channels, and
    concatenated to fewer. The last skip connection is dropped; nothing would read it. Raises ValueError if channels
    cannot be divided evenly by class with `concat` "by_class".
    """
    joins: list[nn.Module] = [Fork(pool=units[0].shrinks)]
    for unit, following in zip(units, [*units[1:], None], strict=True):
        joins += [Carry() for _ in unit.convs[1:]]
        if following is None:
            joins.append(Drop(adds=unit.convs[-1].outputs == unit.convs[0].inputs))
        else:
            combine = _concat(concat, num_classes, stem.outputs) if unit.widens else Add()
            joins.append(JoinFork(combine, pool=following.shrinks))
    convs = [stem, *(conv for unit in units for conv in unit.convs)]
    bodies = [conv_body(c.inputs, c.outputs, kernel=c.kernel, stride=c.stride, dropout=dropout) for c in convs]
    return Net(bodies, joins, [conv.outputs for conv in convs], [nn.Identity() for _ in bodies])


class Fork(nn.Module):
    """Starts a skip connection; 2x2 average pooling first if it ends in a smaller map.

    DeeperForward, eq. 10: the average keeps the mean of the features near zero. A map of odd size is padded, and no
    padding enters an average. Pooled here and not at its end, the skip connection has a quarter of the values.
    """

    def __init__(self, *, pool: bool = False):
        super().__init__()
        self.pool = nn.AvgPool2d(2, ceil_mode=True) if pool else nn.Identity()

    def forward(self, x: Float[Tensor, "B D H W"]) -> Stream:
        return (x, self.pool(x))


class JoinFork(nn.Module):
    """Ends a skip connection with `combine`, and starts the next one from the result."""

    def __init__(self, combine: nn.Module, *, pool: bool = False):
        super().__init__()
        self.combine = combine
        self.fork = Fork(pool=pool)

    def forward(self, x: Float[Tensor, "B D H W"], skip: Float[Tensor, "B E H W"]) -> Stream:
        return self.fork(self.combine(x, skip))


class Add(nn.Module):
    """Adds the skip connection. DeeperForward, eq. 11 for equal widths."""

    def forward(self, x: Float[Tensor, "B D H W"], skip: Float[Tensor, "B D H W"]) -> Float[Tensor, "B D H W"]:
        return x + skip


class LastAdd(nn.Module):
    """Adds the skip connection and starts no other, as in the last layer of HCL-FF's code."""

    def forward(self, x: Float[Tensor, "B D H W"], skip: Float[Tensor, "B D H W"]) -> Stream:
        return (x + skip,)


class Append(nn.Module):
    """Appends the skip connection's channels. DeeperForward, eq. 11 for unequal widths.

    As in the released code, old channels follow new ones, regardless of their class.
    """

    def forward(self, x: Float[Tensor, "B D H W"], skip: Float[Tensor, "B E H W"]) -> Float[Tensor, "B G H W"]:
        return torch.cat([x, skip], dim=1)


class ConcatByClass(nn.Module):
    """Puts each class's old channels after its new ones, so that class groups stay consecutive (HCL-FF's code).

    A later layer that adds this skip connection then adds the channels of the same class.
    """

    def __init__(self, num_classes: int):
        super().__init__()
        self.num_classes = num_classes

    def forward(self, x: Float[Tensor, "B D H W"], skip: Float[Tensor, "B E H W"]) -> Float[Tensor, "B G H W"]:
        new, old = x.chunk(self.num_classes, dim=1), skip.chunk(self.num_classes, dim=1)
        return torch.cat([part for both in zip(new, old, strict=True) for part in both], dim=1)


class Drop(nn.Module):
    """Ends the skip connection unused, as in the last layer of the released code."""

    def __init__(self, *, adds: bool = False):
        """`adds`: whether it has as many channels as the activity, so that `LastAdd` may replace it."""
        super().__init__()
        self.adds = adds

    def forward(self, x: Float[Tensor, "B ..."], skip: Tensor) -> Stream:
        return (x,)


def _concat(order: ConcatOrder, num_classes: int, width: int) -> nn.Module:
    if order == "append":
        return Append()
    if width % num_classes:
        below, above = width // num_classes * num_classes, (width // num_classes + 1) * num_classes
        raise ValueError(
            f"concat by_class needs a width that is a multiple of the {num_classes} classes, got {width}; "
            f"the nearest {f'are {below} or {above}' if below else f'is {above}'}"
        )
    return ConcatByClass(num_classes)
