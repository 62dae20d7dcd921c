"""Votes: the sum of the class probabilities of all blocks."""
# B batch, C classes, L scored blocks

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from onward.core import Evidence, InferenceRule
from onward.parts.objective.sparsemax import sparsemax


class SumVotes(InferenceRule):
    """Adds the blocks' softmax or sparsemax of their scores (CaFo)."""

    def __init__(self, shape: Literal["softmax", "sparsemax"] = "softmax"):
        super().__init__()
        self.shape = shape

    def forward(self, evidence: Evidence) -> Float[Tensor, "B C"]:
        return torch.stack([self._vote(scores) for scores in evidence.block_scores]).sum(dim=0)

    def probabilities(self, scores: Float[Tensor, "B C"]) -> Float[Tensor, "B C"]:
        return scores / scores.sum(dim=1, keepdim=True)  # each block has one vote

    def _vote(self, scores: Float[Tensor, "B C"]) -> Float[Tensor, "B C"]:
        return sparsemax(scores) if self.shape == "sparsemax" else scores.softmax(dim=1)
