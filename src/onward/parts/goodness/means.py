"""Goodness from means of the activity or of its square. Higher is always better."""
# B batch, C classes, D features or channels, H W map, P positions of a map

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from onward.core import Goodness, unrectified
from onward.parts.ops.activity import widen
from onward.parts.ops.class_groups import check_groups, group_mean, group_mean_square


class MeanSquare(Goodness):
    """One score per sample: the mean of the squared activity, in fp32.

    Hinton 2022, eq. 1, with the mean in place of the sum, so that a threshold does not depend on the width.
    """

    per_class: ClassVar[bool] = False

    def forward(self, activity: Float[Tensor, "B ..."]) -> Float[Tensor, "B"]:
        return group_mean_square(activity, num_classes=1).squeeze(1)


class MeanSquareByPosition(Goodness):
    """One score per sample and position of the map: the mean of the squared activity over the channels, in fp32.

    SCFF's released code for images. Features without a map have one position.
    """

    per_class: ClassVar[bool] = False

    def forward(self, activity: Float[Tensor, "B D ..."]) -> Float[Tensor, "B P"]:
        return widen(unrectified(activity)).square().mean(dim=1).reshape(activity.shape[0], -1)


class ClassMean(Goodness):
    """One score per class: the mean activity of the class's own group of consecutive channels, in fp32.

    DeeperForward, eq. 7 to 9 (eq. 5 prints a sum; the released code and eq. 7 take the mean).
    Raises ValueError if `channels` cannot be split evenly.
    """

    per_class: ClassVar[bool] = True

    def __init__(self, num_classes: int, channels: int):
        super().__init__()
        check_groups(num_classes, channels)
        self.num_classes = num_classes

    def forward(self, activity: Float[Tensor, "B D ..."]) -> Float[Tensor, "B C"]:
        return group_mean(activity, self.num_classes)
