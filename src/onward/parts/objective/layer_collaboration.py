"""Layer collaboration: the goodness of earlier layers is handed on beside the input and added in the loss."""
# B batch, N loss terms

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from onward.core import Finite, Goodness, Stream, Target, WrappedObjective


class CarryGoodness(nn.Module):
    """Applies `handoff`, and adds the block's goodness to the sum that follows the input in the stream.

    The `first` block starts the sum. Goodness is read before the activity is pooled or normalized.
    """

    def __init__(self, handoff: nn.Module, goodness: Goodness, *, first: bool = False):
        super().__init__()
        self.handoff = handoff
        self.goodness = goodness
        self.first = first

    def forward(self, activity: Float[Tensor, "B ..."], *rest: Tensor) -> Stream:
        own = self.goodness(activity).detach()
        total, skips = (own, rest) if self.first else (rest[0] + own, rest[1:])
        x, *skips = self.handoff(activity, *skips)
        return (x, total, *skips)


@dataclass(frozen=True)
class AddEarlierGoodness(WrappedObjective):
    """Another objective, applied to the block's own goodness plus `weight` times the goodness of earlier layers.

    Lorberbom et al. 2024 (arXiv 2305.12393): p = sigma(g_l + gamma_l - threshold). A gradient passes through g_l alone.
    Here gamma is the goodness of earlier layers; the paper also has a form with all layers, which costs another pass.
    """

    weight: Finite = 1.0

    def __call__(self, scores: Float[Tensor, "B *C"], target: Target) -> Float[Tensor, "N"]:
        others = target.beside[0].detach() if target.beside else torch.zeros_like(scores)
        return self.objective(scores + self.weight * others.to(scores.dtype), target)
