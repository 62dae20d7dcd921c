"""Fusion: one linear classifier of the outputs of many blocks, trained beside them as a further block (ASGE)."""
# B batch, D channels or features, F features gathered before, G features gathered afterwards

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from onward.core import LocalBlock, Stream
from onward.parts.goodness.linear import LinearHead
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.ops.activity import map_mean, widen


class Gather(nn.Module):
    """Applies `join`, and appends the spatial mean of the block's output to the features in the stream.

    The stream is (x, features, *skips). Features are read before `join`, so that a block appends its own channels and
    not those of a skip connection again. The `first` block finds no features in the stream; the `last` one hands on the
    features alone, in place of its input.
    """

    def __init__(self, join: nn.Module, *, first: bool = False, last: bool = False):
        super().__init__()
        self.join = join
        self.first = first
        self.last = last

    def forward(self, x: Float[Tensor, "B D ..."], *rest: Tensor) -> Stream:
        own = map_mean(widen(x))
        features, skips = (own, rest) if self.first else (torch.cat([rest[0], own], dim=1), rest[1:])
        if self.last:
            return (features,)
        x, *skips = self.join(x, *skips)
        return (x, features, *skips)


def gather_from(joins: Sequence[nn.Module], start: int) -> list[nn.Module]:
    """Return joins that gather the features of the blocks from `start` on; the last one hands on the features alone."""
    gathers = [
        Gather(join, first=k == start, last=k == len(joins) - 1) for k, join in enumerate(joins[start:], start=start)
    ]
    return [*joins[:start], *gathers]


def fusion_block(num_classes: int, widths: Sequence[int]) -> LocalBlock:
    """Return the block that classifies the features of blocks with these widths, by one linear map.

    ASGE's released code sums one linear map per layer, each Kaiming normal (fan in, ReLU) with a bias of zero. Here
    they are concatenated to one matrix with one bias.
    """
    head = LinearHead(num_classes, sum(widths))
    nn.init.zeros_(head.linear.bias)
    for columns in head.linear.weight.data.split(list(widths), dim=1):
        columns.copy_(nn.init.kaiming_normal_(torch.empty(columns.shape), nonlinearity="relu"))
    return LocalBlock(nn.Identity(), goodness=head, objective=CrossEntropy(), head=True)
