"""What a learner would say of a batch, made up."""

import torch
from torch import Tensor

from onward.core import CollectedEvidence, Evidence


def made_up(*, block_scores: Tensor | None = None, handed_on: list[Tensor] | None = None, heads: int = 0) -> Evidence:
    """Evidence with these scores [L, B, C] and activities, of no learner at all."""
    if block_scores is None:
        block_scores = torch.zeros(0, len(handed_on[0]) if handed_on else 0, 0)
    return CollectedEvidence(block_scores, handed_on or [], heads=heads)
