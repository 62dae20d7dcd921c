"""Squared error between class scores and the one-hot label."""
# B batch, C classes

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from onward.core import Objective, Target


@dataclass(frozen=True)
class SquaredError(Objective):
    """The squared difference between scores and the one-hot label, summed over classes; one term per image."""

    per_class: ClassVar[bool] = True
    signed: ClassVar[bool] = False

    def __call__(self, scores: Float[Tensor, "B C"], target: Target) -> Float[Tensor, "B"]:
        return (scores - F.one_hot(target.label, scores.shape[1])).square().sum(dim=1)
