"""DeeperForward's residual networks of 17, 19, 33 and 100 layers."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from onward.core import ShareBelowOne, Size
from onward.nets.layout import Layout
from onward.nets.net import Architecture, Net, Shape
from onward.nets.residual import ConcatOrder, Conv, Unit, residual


@dataclass(frozen=True)
class _ResNet(Architecture):
    """One convolution, then `units`, each with a skip connection."""

    activities: ClassVar[Layout] = "map"

    width: Size = 100
    """Channels of the first stage; each later stage has twice as many."""
    dropout: ShareBelowOne = 0.2
    """Probability of dropping a unit, after every ReLU."""
    concat: ConcatOrder = "append"
    """How a concatenated skip connection's channels are placed."""

    @abstractmethod
    def units(self) -> list[Unit]:
        """Return the units, in order."""

    def __call__(self, shape: Shape, num_classes: int) -> Net:
        stem = Conv(shape[0], self.width)
        return residual(stem, self.units(), num_classes, dropout=self.dropout, concat=self.concat)


@dataclass(frozen=True)
class ResNet17(_ResNet):
    """One convolution and four stages of four; skip connections add inside a stage and concatenate at its end.

    A skip connection starts after every even layer and ends two layers later. Stages after the first begin with
    stride 2. 30.603 M parameters at width 100 for color images, 275.408 M at width 300, the paper's tripled width
    (DeeperForward, released code). Raises ValueError for a width below 1, a dropout outside [0, 1), an unknown concat
    or another stride.
    """

    last_stride: Literal[1, 2] = 2
    """Stride with which the last stage begins; 1 keeps its map, as in HCL-FF's released code."""

    def units(self) -> list[Unit]:
        """Return two units in each of four stages: one that adds, one that concatenates."""
        units = []
        for stage, stride in enumerate((1, 2, 2, self.last_stride)):
            w = self.width * 2**stage
            units.append(Unit((Conv(w, w, stride=stride), Conv(w, w)), w))
            units.append(Unit((Conv(w, w), Conv(w, w)), 2 * w))
        return units


@dataclass(frozen=True)
class ResNet19(_ResNet):
    """One convolution and three stages of three basic units; 9.543 M parameters at width 100 for color images.

    A basic unit is two convolutions. The first unit of a stage halves the map and widens: its second convolution has
    the channels that are missing after its input is concatenated (DeeperForward, released code).
    Raises ValueError for a width below 1, a dropout outside [0, 1) or an unknown concat.
    """

    def units(self) -> list[Unit]:
        """Return the stages of basic units."""
        return _basic_units(self.width, (3, 3, 3))


@dataclass(frozen=True)
class ResNet33(_ResNet):
    """One convolution and stages of 3, 4, 6 and 3 basic units; 47.703 M parameters at width 100 for color images.

    Basic units as in ResNet19 (DeeperForward, released code). Raises ValueError as ResNet19.
    """

    def units(self) -> list[Unit]:
        """Return the stages of basic units."""
        return _basic_units(self.width, (3, 4, 6, 3))


@dataclass(frozen=True)
class ResNet100(_ResNet):
    """One convolution and stages of 3, 4, 23 and 3 bottlenecks; 46.567 M parameters at width 70 for color images.

    A bottleneck is a 1x1, a 3x3 and a 1x1 convolution, with four times as many channels after it as inside. At the
    beginning of each stage but the first, the 3x3 convolution halves the map; the last 1x1 convolution has the channels
    that are missing after the unit's input is concatenated (DeeperForward, released code).
    Raises ValueError for a width below 1, a dropout outside [0, 1) or an unknown concat.
    """

    width: Size = 70
    """Channels of the first layer and inside the first stage's bottlenecks; each later stage has twice as many."""

    def units(self) -> list[Unit]:
        """Return the stages of bottlenecks."""
        return _bottlenecks(self.width, (3, 4, 23, 3))


def _basic_units(width: int, counts: Sequence[int]) -> list[Unit]:
    """Return stages of units of two convolutions, each stage twice as wide as the previous one."""
    units, inputs = [], width
    for stage, count in enumerate(counts):
        w = width * 2**stage
        for k in range(count):
            stride = 2 if stage > 0 and k == 0 else 1
            units.append(Unit((Conv(inputs, w, stride=stride), Conv(w, w if inputs == w else w - inputs)), w))
            inputs = w
    return units


def _bottlenecks(width: int, counts: Sequence[int]) -> list[Unit]:
    """Return stages of units of three convolutions with w channels inside and 4 w outside; w doubles at each stage."""
    units, inputs = [], width
    for stage, count in enumerate(counts):
        w = width * 2**stage
        for k in range(count):
            stride = 2 if stage > 0 and k == 0 else 1
            last = Conv(w, 4 * w if inputs == 4 * w else 4 * w - inputs, kernel=1)
            units.append(Unit((Conv(inputs, w, kernel=1), Conv(w, w, stride=stride), last), 4 * w))
            inputs = 4 * w
    return units
