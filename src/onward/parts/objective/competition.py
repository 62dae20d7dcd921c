"""Objectives of CwComp besides cross-entropy: the label's goodness against a threshold and the mean of the others."""
# B batch, C classes, N loss terms

from dataclasses import dataclass, field
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from onward.core import Finite, Objective, Share, Target
from onward.parts.objective.class_scores import CrossEntropy


@dataclass(frozen=True)
class PositiveNegative(Objective):
    """softplus(threshold - g_label) and softplus(mean of the other g - threshold); two terms per image.

    CwComp's `PvN` (released code). Raises ValueError for a single class.
    """

    per_class: ClassVar[bool] = True
    signed: ClassVar[bool] = False

    threshold: Finite = 2.0
    """Goodness at which a class counts as present with probability one half."""

    def __call__(self, scores: Float[Tensor, "B C"], target: Target) -> Float[Tensor, "N"]:
        others = scores.shape[1] - 1
        if others < 1:
            raise ValueError("a positive score against negative ones needs at least 2 classes, got 1")
        positive = scores.gather(1, target.label[:, None]).squeeze(1)
        negative = (scores.sum(dim=1) - positive) / others
        return torch.cat([F.softplus(self.threshold - positive), F.softplus(negative - self.threshold)])


@dataclass(frozen=True)
class Mixture(Objective):
    """A share of cross-entropy and the rest of `PositiveNegative`: CwComp's `CWG`, with a share of 0.28.

    Each image has two terms, whose mean is that of the mixture. Raises ValueError for a share outside [0, 1].
    """

    per_class: ClassVar[bool] = True
    signed: ClassVar[bool] = False

    share: Share = 0.28
    """Weight of the cross-entropy."""
    against: PositiveNegative = field(default_factory=PositiveNegative)

    def __call__(self, scores: Float[Tensor, "B C"], target: Target) -> Float[Tensor, "N"]:
        competing = CrossEntropy()(scores, target).repeat(2)
        return self.share * competing + (1 - self.share) * self.against(scores, target)
