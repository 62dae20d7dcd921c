"""Goodness by a network's own output head: the scores that it gives, or what it reads in earlier blocks."""
# B batch, C classes, D features, S classes that are sampled

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from onward.core import IGNORED, Goodness, Target
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
        return _scores(activity, head.weight, head.bias)


class SampledReadOut(SharedReadOut):
    """The same, but in training only the classes of the batch and some drawn ones get a score.

    A sampled softmax: the cost of a block no longer depends on the size of the vocabulary. Each drawn class counts
    once, as it does in a softmax over a small vocabulary, so the loss is below that of all classes; it trains a block,
    and is never used for a prediction. Draws depend on the seed of step and block.
    """

    def __init__(self, head: nn.Linear, drawn: int = 256):
        super().__init__(head)
        self.drawn = drawn

    def training_scores(self, activity: Float[Tensor, "B D"], target: Target) -> tuple[Float[Tensor, "B S"], Target]:
        (head,) = self._head
        label = target.label.flatten()
        sample = self._sample(label, head.out_features)
        bias = None if head.bias is None else head.bias[sample]
        numbered = torch.searchsorted(sample, label.clamp_min(0)).where(label != IGNORED, IGNORED)
        return _scores(activity, head.weight[sample], bias), target._replace(label=numbered.view_as(target.label))

    def _sample(self, label: Int64[Tensor, "B"], classes: int) -> Int64[Tensor, "S"]:
        """Return the classes of the batch and those drawn, sorted, each once."""
        drawn = torch.randint(classes, (self.drawn,), device="cpu").to(label.device)
        return torch.cat([label[label != IGNORED], drawn]).unique()


def _scores(
    activity: Float[Tensor, "B D"], weight: Float[Tensor, "C D"], bias: Float[Tensor, "C"] | None
) -> Float[Tensor, "B C"]:
    wide = F.layer_norm(widen(activity), activity.shape[1:])
    return F.linear(wide, weight.detach().to(wide.dtype), None if bias is None else bias.detach().to(wide.dtype))
