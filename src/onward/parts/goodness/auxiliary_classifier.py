"""Goodness as the scores of a small convolutional classifier that reads the activity."""
# B batch, D channels or features, C classes

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from onward.core import Goodness
from onward.parts.goodness.linear import LinearHead, largest_grid
from onward.parts.ops.cells import cell_means
from onward.parts.ops.feature_maps import as_map


class AuxiliaryClassifier(Goodness):
    """One score per class: a 3 x 3 convolution, batch normalization and GELU, then a linear read-out of a coarse grid.

    Maps larger than `side` x `side` are averaged in that many cells first, as a convolution of the whole map would cost
    more than the body. For an activity without a map, a linear layer and layer normalization replace convolution and
    batch normalization. The read-out begins at zero.
    """

    per_class: ClassVar[bool] = True

    def __init__(
        self, num_classes: int, channels: int, *, hidden: int, maps: bool, side: int = 8, features: int = 2048
    ):
        """`hidden`: channels of the convolution; `features`: largest number of input features of the read-out.

        Raises ValueError if `features` is below 1.
        """
        super().__init__()
        self.side = side
        self.maps = maps
        self.hidden = (
            nn.Sequential(nn.Conv2d(channels, hidden, 3, padding=1, bias=False), nn.BatchNorm2d(hidden), nn.GELU())
            if maps
            else nn.Sequential(nn.Linear(channels, hidden, bias=False), nn.LayerNorm(hidden), nn.GELU())
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
