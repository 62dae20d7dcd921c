"""Layers that look down and up: a network that settles over time, whose layers still learn on their own."""
# B batch, C classes, D units of a layer, F below and G above it, E = F + G + D, P pixels, T counted times, V = P + C

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from onward.core import Stream
from onward.parts.handoff.norms import UnitLength
from onward.parts.supervision.labels import LabeledViews


@dataclass(frozen=True)
class LabelOnTop(LabeledViews):
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
        self.sizes = (below.in_features, above, below.out_features)
        """Units below, above and its own: how its input is cut."""

    def forward(self, x: Float[Tensor, "B *T E"]) -> Float[Tensor, "B *T D"]:
        if x.ndim == 2:
            return self.below(x).relu()
        return self.new_state(*x.split(self.sizes, dim=2))

    def new_state(
        self, below: Float[Tensor, "*B F"], above: Float[Tensor, "*B G"], before: Float[Tensor, "*B D"]
    ) -> Float[Tensor, "*B D"]:
        """Return the state that follows `before`, given the units below and above at the time before."""
        new = (self.below(below) + self.above(above)).relu()
        return self.damping * before + (1 - self.damping) * new


class SettleStates(nn.Module):
    """A body that lets all layers settle together, without a graph; its activity is what they saw at counted times.

    States begin with one pass upwards. Then at each time every layer computes its new state from what its neighbors
    were at the time before, brought to unit length: pixels below the first layer, the label above the last. Counted are
    the times from `first` to `last`, from 1. What the layers saw stands side by side, S values, for `SplitStates`.
    Images that arrive without a label are handed on to an ordinary network.

    It knows the layers without owning them: their blocks do.
    """

    def __init__(self, layers: Sequence[RecurrentLayer], *, first: int, last: int):
        super().__init__()
        self.layers = tuple(layers)
        self.first, self.last = first, last
        self.unit = UnitLength()

    @torch.no_grad()
    def forward(self, x: Float[Tensor, "B ..."]) -> Float[Tensor, "B *T S"]:
        flat = x.flatten(1)
        pixels = self.layers[0].below.in_features
        image = self.unit(flat[:, :pixels])
        if flat.shape[1] == pixels:
            return image
        top, states = self.unit(flat[:, pixels:]), [image]
        for layer in self.layers:
            states.append(layer(self.unit(states[-1])))
        image, top = image.to(states[-1].dtype), top.to(states[-1].dtype)  # half as much to copy in bf16
        counted = []
        for time in range(1, self.last + 1):
            unit = [image, *[self.unit(state) for state in states[1:]], top]
            seen = list(zip(unit[:-2], unit[2:], states[1:], strict=True))  # below, above and before, layer by layer
            counted += [torch.cat([*chain(*seen)], dim=1)] if time >= self.first else []
            if time < self.last:
                states = [image, *[layer.new_state(*x) for layer, x in zip(self.layers, seen, strict=True)]]
        return torch.stack(counted, dim=1)


class SplitStates(nn.Module):
    """Hands on what each layer saw, [B, T, E] one after the other; an image without a label as it is."""

    def __init__(self, layers: Sequence[RecurrentLayer]):
        super().__init__()
        self.sizes = [sum(layer.sizes) for layer in layers]

    def forward(self, activity: Float[Tensor, "B *T S"]) -> Stream:
        return activity.split(self.sizes, dim=2) if activity.ndim == 3 else (activity,)


class NextLayer(nn.Module):
    """Drops a layer's activity, as the next layer's input travels in the stream; if none does, hands on unit length."""

    def __init__(self):
        super().__init__()
        self.unit = UnitLength()

    def forward(self, activity: Float[Tensor, "B ..."], *waiting: Tensor) -> Stream:
        return waiting or (self.unit(activity),)
