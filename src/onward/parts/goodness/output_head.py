"""Goodness that is an activity itself: the scores of a network's own output head."""
# B batch, C classes

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from onward.core import Goodness
from onward.parts.ops.activity import widen


class OwnScores(Goodness):
    """One score per class: the activity, which is the output of a network that has a head of its own."""

    per_class = True

    def forward(self, activity: Float[Tensor, "B C"]) -> Float[Tensor, "B C"]:
        return widen(activity)


class SharedReadOut(Goodness):
    """One score per class: the activity, read by the linear head of the whole network, which is not trained here.

    For large vocabularies: no block has a head of its own. Features are brought to mean 0 and variance 1 first, as the
    last norm of a language model does. The head's weights are read as they are at the moment, and are not among this
    module's parameters.
    """

    per_class = True

    def __init__(self, head: nn.Linear):
        super().__init__()
        self._head = (head,)  # in a tuple: not a submodule

    def forward(self, activity: Float[Tensor, "B D"]) -> Float[Tensor, "B C"]:
        (head,) = self._head
        wide = F.layer_norm(widen(activity), activity.shape[1:])
        bias = None if head.bias is None else head.bias.detach().to(wide.dtype)
        return F.linear(wide, head.weight.detach().to(wide.dtype), bias)
