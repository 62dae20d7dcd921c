"""Goodness per token: another goodness, applied to one row per token."""
# B batch, C classes, D features, T tokens

from jaxtyping import Float
from torch import Tensor

from onward.core import Target, WrappedGoodness
from onward.parts.objective.targets import counted


class TokenGoodness(WrappedGoodness):
    """Applies another goodness to rows [B T, D]; rows with an ignored label do not enter its statistics."""

    def forward(self, activity: Float[Tensor, "BT D"]) -> Float[Tensor, "BT *C"]:
        return self.goodness(activity)

    def training_scores(self, activity: Float[Tensor, "BT D"], target: Target) -> tuple[Float[Tensor, "BT *C"], Target]:
        return self.goodness.training_scores(activity, target)

    def update_statistics(self, activity: Float[Tensor, "BT D"], target: Target) -> None:
        if self.goodness.keeps_statistics:
            self.goodness.update_statistics(*counted(activity, target))

    @property
    def keeps_statistics(self) -> bool:
        return self.goodness.keeps_statistics
