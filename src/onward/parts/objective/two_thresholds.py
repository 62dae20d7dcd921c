"""Goodness with separate thresholds for real and contrastive views."""
# B batch, P positions of a map

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from onward.core import Finite, NonNegative, Objective, Positive, Target
from onward.parts.ops.views import sign_of


@dataclass(frozen=True)
class TwoThresholds(Objective):
    """softplus(k (real - g)) + decay * g for real views, softplus(k (g - contrastive)) for contrastive ones.

    SCFF's objective (Chen et al. 2025, released code), with k as `sharpness`. The decay keeps goodness from growing.
    With one score per position, softplus is averaged over positions, and the decay uses the norm of all scores.
    """

    per_class: ClassVar[bool] = False
    signed: ClassVar[bool] = True

    real: Finite = 0.5
    """Threshold that real views should exceed."""
    contrastive: Finite = 0.5
    """Threshold that contrastive views should stay below."""
    sharpness: Positive = 1.0
    """How fast the loss moves with the mean goodness."""
    decay: NonNegative = 0.0
    """Weight of the real views' goodness in the loss."""

    def __call__(self, scores: Float[Tensor, "B *P"], target: Target) -> Float[Tensor, "B"]:
        real = sign_of(target) > 0
        if scores.ndim > 1:
            return self._by_position(scores, real)
        gap = torch.where(real, self.real - scores, scores - self.contrastive)
        return F.softplus(self.sharpness * gap) + self.decay * torch.where(real, scores, 0.0)

    def _by_position(self, scores: Float[Tensor, "B P"], real: Bool[Tensor, "B"]) -> Float[Tensor, "B"]:
        gap = torch.where(real[:, None], self.real - scores, scores - self.contrastive)
        length = torch.linalg.vector_norm(scores, dim=1)
        return F.softplus(self.sharpness * gap).mean(dim=1) + self.decay * torch.where(real, length, 0.0)
