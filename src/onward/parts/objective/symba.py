"""SymBa's objective: the goodness of a real view must exceed that of its contrastive ones, without a threshold."""
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

    Lee and Song 2023 (SymBa, arXiv 2303.08418), with alpha as `sharpness`. Differs: several contrastive views are
    possible.
    Raises ValueError for a sharpness that is not positive.
    """

    per_class: ClassVar[bool] = False
    signed: ClassVar[bool] = True

    sharpness: Positive = 4.0
    """How fast the loss falls with the goodness of the real view above that of a contrastive one."""

    def __call__(self, scores: Float[Tensor, "N"], target: Target) -> Float[Tensor, "M"]:
        real, contrastive = by_view(scores, target)
        return F.softplus(self.sharpness * (contrastive - real)).flatten()
