"""An objective with a weight, for blocks that add two losses."""
# B batch, C classes, N loss terms

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from onward.core import NonNegative, Objective, Target


@dataclass(frozen=True)
class Weighted(Objective):
    """Another objective's terms times a weight."""

    objective: Objective
    weight: NonNegative

    def __post_init__(self):
        super().__post_init__()
        inner = self.objective
        vars(self).update(per_class=inner.per_class, signed=inner.signed, couples_samples=inner.couples_samples)

    def __call__(self, scores: Float[Tensor, "B *C"], target: Target) -> Float[Tensor, "N"]:
        return self.weight * self.objective(scores, target)

    def cross_entropy(self) -> Objective | None:
        return self.objective.cross_entropy()
