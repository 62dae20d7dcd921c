"""Goodness as the scores of a small convolutional classifier that reads the activity."""
# B batch, D channels or features, C classes

from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from onward.core import Goodness
from onward.parts.goodness.linear import LinearHead, largest_grid
from onward.parts.ops.cells import cell_means
from onward.parts.ops.feature_maps import as_map


class AuxiliaryClassifier(Goodness):
    """One score per class: 3 x 3 convolutions with batch normalization and GELU, a linear read-out of a coarse grid.

    Maps larger than `side` x `side` are averaged in that many cells first, as a convolution of the whole map would cost
    more than the body. Every convolution but the last is followed by a maximum over 2 x 2 pixels. For an activity
    without a map, linear layers and layer normalization replace convolutions and batch normalization. The read-out
    begins at zero.
    """

    per_class: ClassVar[bool] = True

    def __init__(
        self,
        num_classes: int,
        channels: int,
        *,
        hidden: int,
        maps: bool,
        layers: int = 1,
        side: int = 8,
        features: int = 2048,
    ):
        """`hidden`: channels of each convolution; `layers`: how many; `features`: largest number the read-out reads.

        Raises ValueError if `features` is below 1.
        """
        super().__init__()
        self.side = side
        self.maps = maps
        layer = _convolution if maps else _linear
        inputs = [channels, *[hidden] * (layers - 1)]
        self.hidden = nn.Sequential(
            *[part for k, width in enumerate(inputs) for part in layer(width, hidden, last=k == layers - 1)]
        )
        cells = largest_grid(hidden, features, side=side) if maps else (1, 1)
        self.read_out = LinearHead(num_classes, hidden, cells=cells, zero=True)

    def forward(self, activity: Float[Tensor, "B D ..."]) -> Float[Tensor, "B C"]:
        return self.read_out(self.hidden(self._coarse(activity) if self.maps else activity))

    def hidden_layers(self) -> nn.Module:
        return self.hidden

    def _coarse(self, activity: Float[Tensor, "B D ..."]) -> Float[Tensor, "B D P Q"]:
        activity = as_map(activity)
        rows, columns = (min(self.side, size) for size in activity.shape[2:])
        return cell_means(activity, (rows, columns))


class _Halve(nn.Module):
    """The maximum over 2 x 2 pixels; a side of fewer than 4 pixels stays, as a kernel of 3 needs neighbors."""

    def forward(self, x: Float[Tensor, "B D H W"]) -> Float[Tensor, "B D H2 W2"]:
        return F.max_pool2d(x, [2 if side >= 4 else 1 for side in x.shape[2:]])


def _convolution(inputs: int, outputs: int, *, last: bool) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return [convolution, *([] if last else [_Halve()]), nn.BatchNorm2d(outputs), nn.GELU()]


def _linear(inputs: int, outputs: int, *, last: bool) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs, bias=False), nn.LayerNorm(outputs), nn.GELU()]
