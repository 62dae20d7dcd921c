"""Layers that look down and up: a network that settles over time, whose layers still learn on their own."""
# B batch, C classes, D units of a layer, E units below, above and its own, P pixels, T counted times, V = P + C

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from onward.core import Stream
from onward.parts.handoff import UnitLength
from onward.parts.supervision import LabelledViews


@dataclass(frozen=True)
class LabelOnTop(LabelledViews):
    """The label travels behind the pixels, one-hot, for the layer that looks at it from below: the last one.

    A neutral view has 1 / num_classes in every label value. Raises ValueError if there are not that many wrong labels.
    """

    def write(self, x: Float[Tensor, "B ..."], labels: Int64[Tensor, "B"]) -> Float[Tensor, "B V"]:
        return torch.cat([x.flatten(1), F.one_hot(labels, self.num_classes).to(x.dtype)], dim=1)

    def neutral_view(self, x: Float[Tensor, "B ..."]) -> Stream:
        return (torch.cat([x.flatten(1), x.new_full((len(x), self.num_classes), 1 / self.num_classes)], dim=1),)


class RecurrentLayer(nn.Module):
    """A rectified linear layer that looks at the layers below and above, and keeps a share of what it was.

    Its input at each counted time is what is below, what is above and its own state, all of the time before, side by
    side; its activity is the new state. Given what is below alone, [B, E], it is an ordinary layer: that is how states
    begin, and what the backprop control trains.
    """

    def __init__(self, below: nn.Linear, above: int, *, damping: float):
        super().__init__()
        self.below = below
        self.above = nn.Linear(above, below.out_features, bias=False)
        self.damping = damping

    def forward(self, x: Float[Tensor, "B *T E"]) -> Float[Tensor, "B *T D"]:
        if x.ndim == 2:
            return self.below(x).relu()
        below, above, before = x.split([self.below.in_features, self.above.in_features, self.above.out_features], dim=2)
        new = (self.below(below) + self.above(above)).relu()
        return self.damping * before + (1 - self.damping) * new


class Settle(nn.Module):
    """Lets all layers settle together, without a graph, and hands each of them what it saw at the counted times.

    States begin with one pass upwards. Then at each time every layer computes its new state from what its neighbours
    were at the time before, brought to unit length: pixels below the first layer, the label above the last. Counted are
    the times from `first` to `last`, from 1. What arrives without a label is handed on to an ordinary network.

    It knows the layers without owning them: their blocks do.
    """

    def __init__(self, layers: Sequence[RecurrentLayer], *, first: int, last: int):
        super().__init__()
        self.layers = tuple(layers)
        self.first, self.last = first, last
        self.unit = UnitLength()

    @torch.no_grad()
    def forward(self, activity: Float[Tensor, "B ..."]) -> Stream:
        flat = activity.flatten(1)
        pixels = self.layers[0].below.in_features
        image = self.unit(flat[:, :pixels])
        if flat.shape[1] == pixels:
            return (image,)
        top, states = self.unit(flat[:, pixels:]), [image]
        for layer in self.layers:
            states.append(layer(self.unit(states[-1])))
        counted = []
        for time in range(1, self.last + 1):
            unit = [image, *[self.unit(state) for state in states[1:]], top]
            seen = [torch.cat([unit[k - 1], unit[k + 1], states[k]], dim=1) for k in range(1, len(states))]
            counted += [seen] if time >= self.first else []
            if time < self.last:
                pairs = zip(self.layers, seen, strict=True)
                states = [image, *[layer(x[:, None]).squeeze(1) for layer, x in pairs]]
        return tuple(torch.stack(times, dim=1) for times in zip(*counted, strict=True))


class NextLayer(nn.Module):
    """Drops a layer's activity, as the next layer's input travels in the stream; if none does, hands on unit length."""

    def __init__(self):
        super().__init__()
        self.unit = UnitLength()

    def forward(self, activity: Float[Tensor, "B ..."], *waiting: Tensor) -> Stream:
        return waiting or (self.unit(activity),)
