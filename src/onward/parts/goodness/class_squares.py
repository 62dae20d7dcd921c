"""The squared counterparts of class mean and class norm: Forward-Forward's goodness and length, in class groups."""
# B batch, C classes, D channels or features

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from onward.core import Goodness
from onward.parts.ops.class_groups import check_groups, group_length, group_mean_square


class ClassMeanSquare(Goodness):
    """One score per class: the mean of the squared activity of the class's own group of channels, in fp32.

    Hinton 2022, eq. 1, within each class group: the ablation of DeeperForward, table 4, without mean goodness. The
    paper leaves open whether it sums or averages; the mean is used, as in `ClassMean`.
    Raises ValueError if `channels` cannot be split evenly.
    """

    per_class: ClassVar[bool] = True

    def __init__(self, num_classes: int, channels: int):
        super().__init__()
        check_groups(num_classes, channels)
        self.num_classes = num_classes

    def forward(self, activity: Float[Tensor, "B D ..."]) -> Float[Tensor, "B C"]:
        return group_mean_square(activity, self.num_classes)


class ClassLength(nn.Module):
    """Divides each sample's class groups by their root mean square over channels and map.

    Hinton's length normalization within each class group (DeeperForward, table 4, first row; the paper leaves open
    whether it is per group or per layer). It removes exactly the goodness of `ClassMeanSquare`, up to eps; the mean of
    a group can still be read. Raises ValueError for uneven groups.
    """

    def __init__(self, num_classes: int, channels: int, eps: float = 1e-5):
        super().__init__()
        check_groups(num_classes, channels)
        self.num_classes = num_classes
        self.eps = eps

    def forward(self, activity: Float[Tensor, "B D ..."]) -> Float[Tensor, "B D ..."]:
        return group_length(activity, self.num_classes, self.eps)
