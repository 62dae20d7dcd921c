"""Margin losses: a positive score must exceed its negatives by a margin (Distance-Forward, a reconstruction)."""
# B images, C classes, K negatives of an image, N views of all images (K + 1 of each)

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from onward.core import NonNegative, Objective, Positive, Target, check_fields
from onward.parts.ops.one_hot import class_numbers
from onward.parts.ops.views import by_view

Form = Literal["mean", "hardest", "soft"]
"""How the negatives of an image are combined."""


@dataclass(frozen=True)
class NPairMargin:
    """One loss term per image from its positive score and its K negative ones.

    With gap_k = margin + negative_k - positive, and max(gap, 0) + penalty * negative as the term of a single pair:
    `mean` averages the pairs, `hardest` takes the largest, and `soft` is a smooth form of the largest,
    log(1 + sum_k exp(sharpness * gap_k)) / sharpness + penalty * mean of the negatives (Sohn 2016 at sharpness 1).
    At K = 1 the first two are the single pair.

    Wu et al. 2024 (arXiv 2408.14925), known from notes: the single pair is reported, every form for K > 1 is inferred.
    Raises ValueError for a value outside its range.
    """

    margin: NonNegative = 1.0
    """Margin by which the positive score has to exceed the negatives."""
    penalty: NonNegative = 0.0
    """Weight of the negatives' own scores."""
    form: Form = "mean"
    """How the negatives are combined."""
    sharpness: Positive = 1.0
    """soft: how closely it follows the largest gap."""

    def __post_init__(self):
        check_fields(self)

    def __call__(self, positive: Float[Tensor, "B"], negatives: Float[Tensor, "B K"]) -> Float[Tensor, "B"]:
        if self.form == "hardest":  # a term rises with its negative, so the largest score has the largest term
            negatives = negatives.amax(dim=1, keepdim=True)
        gaps = self.margin + negatives - positive[:, None]
        if self.form == "soft":
            scaled = F.pad(self.sharpness * gaps, (1, 0))  # the 1 of the logarithm is exp(0)
            hinge = torch.logsumexp(scaled, dim=1) / self.sharpness
        else:
            hinge = gaps.clamp_min(0).mean(dim=1)
        return hinge + self.penalty * negatives.mean(dim=1) if self.penalty else hinge


@dataclass(frozen=True)
class ViewMargin(Objective):
    """The real view of an image against its contrastive ones; one term per image.

    Distance-Forward with goodness pairs: (image, its label) against (image, wrong label).
    """

    per_class: ClassVar[bool] = False
    signed: ClassVar[bool] = True

    reduce: NPairMargin = field(default_factory=NPairMargin)

    def __call__(self, scores: Float[Tensor, "N"], target: Target) -> Float[Tensor, "B"]:
        positive, negatives = by_view(scores, target)
        return self.reduce(positive, negatives.T.contiguous())


@dataclass(frozen=True)
class ClassMargin(Objective):
    """The score of the label against those of all other classes; one term per image.

    Distance-Forward with class anchors. Raises ValueError for a single class.
    """

    per_class: ClassVar[bool] = True
    signed: ClassVar[bool] = False

    reduce: NPairMargin = field(default_factory=NPairMargin)

    def __call__(self, scores: Float[Tensor, "B C"], target: Target) -> Float[Tensor, "B"]:
        num_classes = scores.shape[1]
        if num_classes < 2:
            raise ValueError(f"a margin needs at least 2 classes, got {num_classes}")
        numbers = class_numbers(num_classes, scores.device)  # a mask would make the device wait
        if self.reduce.form == "soft" and not self.reduce.penalty:
            return self._soft(scores, target.label, numbers)
        ordered = scores.gather(1, (target.label[:, None] + numbers) % num_classes)
        return self.reduce(ordered[:, 0], ordered[:, 1:])

    def _soft(
        self, scores: Float[Tensor, "B C"], label: Int64[Tensor, "B"], numbers: Int64[Tensor, "C"]
    ) -> Float[Tensor, "B"]:
        """The smooth largest gap: the cross-entropy of the scores, with those of wrong classes raised by the margin."""
        ahead = scores.add(label[:, None] != numbers, alpha=self.reduce.margin)
        return F.cross_entropy(self.reduce.sharpness * ahead, label, reduction="none") / self.reduce.sharpness
