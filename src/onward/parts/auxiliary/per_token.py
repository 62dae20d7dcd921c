"""An auxiliary loss per token: another auxiliary, applied to one row per token."""
# B batch, D features, N loss terms, T tokens

from jaxtyping import Float
from torch import Tensor

from onward.core import Auxiliary, Target
from onward.parts.objective.targets import counted


class TokenAuxiliary(Auxiliary):
    """Applies another auxiliary to the rows [B T, D] whose label is not ignored."""

    def __init__(self, auxiliary: Auxiliary):
        super().__init__()
        self.auxiliary = auxiliary
        vars(self)["couples_samples"] = auxiliary.couples_samples

    def forward(self, activity: Float[Tensor, "BT D"], target: Target) -> Float[Tensor, "N"]:
        return self.auxiliary(*counted(activity, target))
