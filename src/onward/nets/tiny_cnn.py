"""DeeperForward's four-layer convolutional network."""

from dataclasses import dataclass
from typing import ClassVar

from onward.core import ShareBelowOne, Size
from onward.nets.layout import Layout
from onward.nets.net import Architecture, Net, Shape, conv_body, plain


@dataclass(frozen=True)
class TinyCNN(Architecture):
    """Four convolutions of 1, 2, 4 and 4 times `width` channels; maps shrink twice (DeeperForward, released code).

    2.668 M parameters at width 100 for color images. Raises ValueError for a width below 1 or a dropout outside [0, 1).
    """

    activities: ClassVar[Layout] = "map"

    width: Size = 100
    """Channels of the first layer."""
    dropout: ShareBelowOne = 0.2
    """Probability of dropping a unit, after every ReLU."""

    def __call__(self, shape: Shape, num_classes: int) -> Net:
        w, p = self.width, self.dropout
        bodies = [
            conv_body(shape[0], w, kernel=5, dropout=p),
            conv_body(w, 2 * w, kernel=5, dropout=p, pool=True),
            conv_body(2 * w, 4 * w, dropout=p, pool=True),
            conv_body(4 * w, 4 * w, dropout=p),
        ]
        return plain(bodies, [w, 2 * w, 4 * w, 4 * w])
