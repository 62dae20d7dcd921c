"""Cross-entropy of scores that are bounded, such as cosines: they are divided by a temperature first."""
# B batch, C classes

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from onward.core import Objective, Positive, Target


@dataclass(frozen=True)
class TemperedCrossEntropy(Objective):
    """Softmax cross-entropy of scores / temperature. Raises ValueError for a temperature that is not positive."""

    per_class: ClassVar[bool] = True
    signed: ClassVar[bool] = False

    temperature: Positive = 0.1
    """The smaller, the closer to the hardest wrong class alone."""

    def __call__(self, scores: Float[Tensor, "B C"], target: Target) -> Float[Tensor, "B"]:
        return F.cross_entropy(scores / self.temperature, target.label, reduction="none")
