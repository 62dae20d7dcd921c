"""Inference rules for regression and several labels: the blocks' scores as numbers, or as logits of labels."""
# B batch, K numbers or labels of a row

from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from onward.core import Evidence, InferenceRule, Task


class MeanValues(InferenceRule):
    """The mean prediction of all blocks, or with `last` that of the last one, in the unit of the targets."""

    task: ClassVar[Task] = "values"
    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Sequence[float], deviation: Sequence[float], *, last: bool = False):
        super().__init__()
        self.last = last
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float64))
        self.register_buffer("deviation", torch.tensor(deviation, dtype=torch.float64))

    def forward(self, evidence: Evidence) -> Float[Tensor, "B K"]:
        scores = evidence.block_scores
        values = scores[-1] if self.last else scores.mean(dim=0)
        return self.in_units(values)

    def in_units(self, scores: Float[Tensor, "B K"]) -> Float[Tensor, "B K"]:
        """Return scores, which have mean 0 and deviation 1, in the unit of the targets."""
        return scores.double() * self.deviation + self.mean


class SumLabels(InferenceRule):
    """The summed scores of all blocks, or with `last` those of the last one; a label is predicted above 0."""

    task: ClassVar[Task] = "labels"

    def __init__(self, *, last: bool = False):
        super().__init__()
        self.last = last

    def forward(self, evidence: Evidence) -> Float[Tensor, "B K"]:
        scores = evidence.block_scores
        return scores[-1] if self.last else scores.sum(dim=0)

    def probabilities(self, scores: Float[Tensor, "B K"]) -> Float[Tensor, "B K"]:
        """Return the probability of each label: its score's sigmoid."""
        return scores.sigmoid()
