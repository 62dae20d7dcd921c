"""Objectives of regression and of several labels."""
# B batch, K numbers or labels of a row

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from onward.core import Finite, Objective, Positive, Target, numbers


@dataclass(frozen=True)
class SquaredDistance(Objective):
    """Squared error between scores and numbers; the mean over the numbers of a row.

    With the `mean` and `deviation` of the training targets, scores predict (number - mean) / deviation; without them,
    the numbers themselves.
    """

    per_class: ClassVar[bool] = True
    signed: ClassVar[bool] = False

    mean: tuple[Finite, ...] = ()
    deviation: tuple[Positive, ...] = ()

    def __call__(self, scores: Float[Tensor, "B K"], target: Target) -> Float[Tensor, "B"]:
        wanted = target.label
        if self.mean:
            mean, deviation = (numbers(values, torch.float64, scores.device) for values in (self.mean, self.deviation))
            wanted = (wanted.double() - mean) / deviation
        return (scores - wanted.to(scores.dtype)).square().mean(dim=1)


@dataclass(frozen=True)
class EachLabel(Objective):
    """Binary cross-entropy of every label, with scores as logits; the mean over the labels of a row."""

    per_class: ClassVar[bool] = True
    signed: ClassVar[bool] = False

    def __call__(self, scores: Float[Tensor, "B K"], target: Target) -> Float[Tensor, "B"]:
        wanted = target.label.to(scores.dtype)
        return F.binary_cross_entropy_with_logits(scores, wanted, reduction="none").mean(dim=1)
