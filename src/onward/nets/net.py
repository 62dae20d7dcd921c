"""A network before an algorithm fills the other slots: bodies, joins of skip connections, and widths."""
# B batch

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from onward import registry
from onward.core import Range, Stream, check_fields
from onward.nets.dropout import Dropout
from onward.nets.layout import Layout
from onward.nets.measuring import with_layouts
from onward.nets.relu import InPlaceReLU
from onward.nets.relu_dropout import ReluDropout

Depth = Annotated[int, Range(1, 10_000)]
"""Number of layers."""

Shape = tuple[int, ...]
"""Channels, height, width of images; columns of a table; channels and time steps of windows."""


class Net(NamedTuple):
    """Bodies in order, with the join, the width and the pool of each activity.

    A pool comes between goodness and handoff: goodness reads the full map, the next block gets the pooled one.
    """

    bodies: Sequence[nn.Module]
    joins: Sequence[nn.Module]
    widths: Sequence[int]
    pools: Sequence[nn.Module]


def plain(bodies: Sequence[nn.Module], widths: Sequence[int]) -> Net:
    """Return a net without skip connections and without pools after its activities."""
    return Net(bodies, [Carry() for _ in bodies], widths, [nn.Identity() for _ in bodies])


class Architecture(ABC):
    """A frozen dataclass: its fields are sizes; called with the shape of its input, it builds the net.

    Each body then has an `activity_layout`, with features on the first axis after the batch.
    Fields are checked against their types and ranges. Raises ValueError for one outside them.
    """

    registered_in: ClassVar[registry.Registry] = registry.NETS

    takes: ClassVar[tuple[str, ...]] = ("images",)
    """The kinds of inputs that it takes: images, table, windows, tokens or array."""

    activities: ClassVar[Layout | None] = None
    """Layout of the activities of bodies that have no `activity_layout`; None: it is measured by a pass without data,
    which takes up to a second."""

    whiten: ClassVar[int] = 0
    """Side of the patches that are whitened for the network; 0: images enter unwhitened."""

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        if "__call__" in vars(cls):
            cls.__call__ = with_layouts(cls.__call__)

    def __post_init__(self):
        check_fields(self)

    @abstractmethod
    def __call__(self, shape: Shape, num_classes: int) -> Net:
        """Build bodies with fresh weights, drawn from torch's global generator."""


class Carry(nn.Module):
    """Passes on the new activity, and skip connections unchanged."""

    def forward(self, x: Float[Tensor, "B ..."], *skips: Tensor) -> Stream:
        return (x, *skips)


def conv_body(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1, dropout: float, pool: bool = False):
    """Return an optional 2x2 average pool, a convolution without bias, ReLU and dropout (DeeperForward's layer).

    Weights are Kaiming normal, fan out. A map of odd size is padded by the pool, never dropped.
    """
    conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    activation = ReluDropout(dropout) if dropout else InPlaceReLU()
    return nn.Sequential(*([nn.AvgPool2d(2, ceil_mode=True)] if pool else []), conv, activation)


def dropped_conv(inputs: int, outputs: int, *, dropout: float) -> nn.Sequential:
    """Return dropout, a 3x3 convolution with bias, and ReLU; weights are Kaiming normal, fan in.

    ASGE's released code has dropout before normalization, at the end of the layer below. Here it begins the layer,
    because only bodies draw random numbers; the difference is one scale per sample.
    """
    conv = nn.Conv2d(inputs, outputs, 3, padding=1)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return nn.Sequential(*([Dropout(dropout)] if dropout else []), conv, InPlaceReLU())
