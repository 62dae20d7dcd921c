"""An objective with a weight, for blocks that add two losses."""
# B batch, C classes, N loss terms

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from onward.core import NonNegative, Objective, Target, WrappedObjective
from onward.parts.objective.class_scores import CrossEntropy


@dataclass(frozen=True)
class Weighted(WrappedObjective):
    """Another objective's terms times a weight."""

    weight: NonNegative

    def __call__(self, scores: Float[Tensor, "B *C"], target: Target) -> Float[Tensor, "N"]:
        if type(self.objective) is CrossEntropy:
            return self.objective.times(self.weight, scores, target)
        return self.weight * self.objective(scores, target)

    def cross_entropy(self) -> Objective | None:
        return self.objective.cross_entropy()
