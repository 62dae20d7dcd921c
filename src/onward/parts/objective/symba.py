"""SymBa's objective: the real view of an image has to beat its contrastive ones, with no threshold."""
# N views of all images, M pairs of a real and a contrastive one

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from onward.core import Objective, Positive, Target
from onward.parts.ops.views import by_view


@dataclass(frozen=True)
class PairSoftplus(Objective):
    """softplus(-sharpness * (g_real - g_contrastive)); one term per image and contrastive view.

    Lee and Song 2023 (SymBa, arXiv 2303.08418), with alpha as `sharpness`; more than one contrastive view is ours.
    Raises ValueError for a sharpness that is not positive.
    """

    per_class: ClassVar[bool] = False
    signed: ClassVar[bool] = True

    sharpness: Positive = 4.0
    """How fast the loss falls with the lead of the real view."""

    def __call__(self, scores: Float[Tensor, "N"], target: Target) -> Float[Tensor, "M"]:
        real, contrastive = by_view(scores, target)
        return F.softplus(self.sharpness * (contrastive - real)).flatten()
