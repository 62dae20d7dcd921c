"""Sparsemax: like softmax, but with probability 0 for classes far behind the best (Martins and Astudillo 2016)."""
# B batch, C classes

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from onward.core import Objective, Target


def sparsemax(scores: Float[Tensor, "B C"]) -> Float[Tensor, "B C"]:
    """Return the probabilities that are nearest to the scores: Martins and Astudillo 2016, algorithm 1."""
    ordered, _ = scores.sort(dim=1, descending=True)
    sums = ordered.cumsum(dim=1) - 1
    counts = torch.arange(1, scores.shape[1] + 1, device=scores.device, dtype=scores.dtype)
    support = (counts * ordered > sums).sum(dim=1, keepdim=True)
    threshold = sums.gather(1, support - 1) / support
    return (scores - threshold).clamp_min(0)


@dataclass(frozen=True)
class Sparsemax(Objective):
    """The loss whose gradient is sparsemax(scores) - one_hot(label); zero if the label exceeds all others by 1.

    Martins and Astudillo 2016, eq. 15, in the form p z - |p|^2 / 2 - z_label + 1/2 with p = sparsemax(z) held fixed.
    """

    per_class: ClassVar[bool] = True
    signed: ClassVar[bool] = False

    def __call__(self, scores: Float[Tensor, "B C"], target: Target) -> Float[Tensor, "B"]:
        chosen = sparsemax(scores.detach())
        right = scores.gather(1, target.label[:, None]).squeeze(1)
        return (chosen * scores).sum(dim=1) - chosen.square().sum(dim=1) / 2 - right + 0.5
