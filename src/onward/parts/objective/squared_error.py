"""Squared error between class scores and the one-hot label."""
# B batch, C classes

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from onward.core import Objective, Target
from onward.parts.ops.one_hot import one_hot


@dataclass(frozen=True)
class SquaredError(Objective):
    """The squared difference between scores and the one-hot label, summed over classes; one term per image."""

    per_class: ClassVar[bool] = True
    signed: ClassVar[bool] = False

    def __call__(self, scores: Float[Tensor, "B C"], target: Target) -> Float[Tensor, "B"]:
        return (scores - target.of_label(one_hot, scores.shape[1], scores.dtype)).square().sum(dim=1)
