"""Objectives on class scores and on views, as unreduced loss terms. Settings are the fields."""
# B batch, C classes

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from onward.core import Finite, Objective, Positive, ShareBelowOne, Target, constant
from onward.parts.ops.views import sign_of


@dataclass(frozen=True)
class Threshold(Objective):
    """Goodness above a threshold for real views, below it for contrastive ones.

    softplus(sharpness * sign * (threshold - g)): Hinton 2022, eq. 1, the negative log likelihood of
    p(real) = sigmoid(sharpness * (g - threshold)). With g a mean over n units, sharpness n and threshold t / n give
    the paper's sum of squares around t.
    """

    per_class: ClassVar[bool] = False
    signed: ClassVar[bool] = True

    threshold: Finite = 2.0
    sharpness: Positive = 1.0

    def __call__(self, scores: Float[Tensor, "B"], target: Target) -> Float[Tensor, "B"]:
        return F.softplus(self.sharpness * sign_of(target) * (self.threshold - scores))


@dataclass(frozen=True)
class CrossEntropy(Objective):
    """Softmax cross-entropy of the class scores / temperature; DeeperForward, eq. 13.

    Bounded scores, such as cosines, need a temperature below 1. Raises ValueError for one that is not positive.
    """

    per_class: ClassVar[bool] = True
    signed: ClassVar[bool] = False

    label_smoothing: ShareBelowOne = 0.0
    temperature: Positive = 1.0
    """The smaller, the more the hardest wrong class alone counts."""

    def __call__(self, scores: Float[Tensor, "B C"], target: Target) -> Float[Tensor, "B"]:
        if self.temperature != 1.0:
            scores = scores / self.temperature
        return F.cross_entropy(scores, target.label, reduction="none", label_smoothing=self.label_smoothing)

    def times(self, weight: float, scores: Float[Tensor, "B C"], target: Target) -> Float[Tensor, "B"]:
        """Return the terms times a weight, bit for bit; torch's own weights of classes save an operation each way."""
        if self.label_smoothing or self.temperature != 1.0:
            return weight * self(scores, target)
        weights = constant(_equal, scores.shape[1], weight, scores.dtype, scores.device)
        return F.cross_entropy(scores, target.label, weights, reduction="none")

    def cross_entropy(self) -> Objective:
        """Return the same label smoothing with temperature 1: a head's scores are not bounded."""
        return self if self.temperature == 1.0 else CrossEntropy(self.label_smoothing)


@dataclass(frozen=True)
class SoftmaxTwice(Objective):
    """Softmax cross-entropy of probabilities in place of scores: the softmax head of CwComp's released code."""

    per_class: ClassVar[bool] = True
    signed: ClassVar[bool] = False

    def __call__(self, scores: Float[Tensor, "B C"], target: Target) -> Float[Tensor, "B"]:
        return F.cross_entropy(scores.softmax(dim=1), target.label, reduction="none")


def tempered_cross_entropy(temperature: float = 0.1) -> CrossEntropy:
    """The former `TemperedCrossEntropy`: a cross-entropy whose temperature is 0.1 by default."""
    return CrossEntropy(temperature=temperature)


def _equal(count: int, value: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.full((count,), value, dtype=dtype, device=device)
