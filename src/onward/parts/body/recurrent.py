"""Recurrent layers that read the layers below and above, with a local loss per layer."""
# B batch, C classes, D units of a layer, F below and G above it, E = F + G + D, P pixels, T counted times, V = P + C

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from onward.core import Stream
from onward.parts.handoff.norms import UnitLength
from onward.parts.ops.one_hot import one_hot
from onward.parts.supervision.labels import LabeledViews


@dataclass(frozen=True)
class LabelOnTop(LabeledViews):
    """Appends the one-hot label to the pixels: the layer above the last one.

    A neutral view has 1 / num_classes in every label value. Raises ValueError if there are not that many wrong labels.
    """

    def write(self, x: Float[Tensor, "B ..."], labels: Int64[Tensor, "B"]) -> Float[Tensor, "B V"]:
        return torch.cat([x.flatten(1), one_hot(labels, self.num_classes, x.dtype)], dim=1)

    def neutral_view(self, x: Float[Tensor, "B ..."]) -> Stream:
        return (torch.cat([x.flatten(1), x.new_full((x.shape[0], self.num_classes), 1 / self.num_classes)], dim=1),)


class RecurrentLayer(nn.Module):
    """A rectified linear layer that reads the layers below and above, and keeps a share of its previous state.

    Its input at each counted time is the concatenation of the previous states below, above and of the layer itself; its
    activity is the new state. With the layer below alone as its input it is an ordinary layer: this is how states
    are initialized, and what the backprop control trains.
    """

    def __init__(self, below: nn.Linear, above: int, *, damping: float):
        super().__init__()
        self.below = below
        self.above = nn.Linear(above, below.out_features, bias=False)
        self.damping = damping
        self.sizes = (below.in_features, above, below.out_features)
        """Numbers of units below, above and in the layer: how its input is split."""

    def forward(self, x: Float[Tensor, "B *T E"]) -> Float[Tensor, "B *T D"]:
        if x.ndim == 2:
            return self.below(x).relu()
        return self.new_state(*x.split(self.sizes, dim=2))

    def new_state(
        self, below: Float[Tensor, "*B F"], above: Float[Tensor, "*B G"], before: Float[Tensor, "*B D"]
    ) -> Float[Tensor, "*B D"]:
        """Return the state after `before`, given the previous states below and above."""
        new = (self.below(below) + self.above(above)).relu()
        return self.damping * before + (1 - self.damping) * new


class SettleStates(nn.Module):
    """A body that computes the states of all layers, without a graph; its activity: their inputs at counted times.

    States are initialized by one pass upwards. Then at each time every layer computes its new state from the previous
    states of its neighbors at unit length, with the pixels below the first layer and the label above the last. The
    times from `first` to `last`, numbered from 1, are counted. The inputs of all layers are concatenated to S values,
    for `SplitStates`. Images without a label are returned at unit length, for an ordinary network.

    It holds references only; the blocks own the layers.
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
        image, top = image.to(states[-1].dtype), top.to(states[-1].dtype)  # bf16 halves the bytes to copy
        counted = []
        for time in range(1, self.last + 1):
            unit = [image, *[self.unit(state) for state in states[1:]], top]
            inputs = list(zip(unit[:-2], unit[2:], states[1:], strict=True))  # below, above and before, layer by layer
            counted += [torch.cat([*chain(*inputs)], dim=1)] if time >= self.first else []
            if time < self.last:
                states = [image, *[layer.new_state(*x) for layer, x in zip(self.layers, inputs, strict=True)]]
        return torch.stack(counted, dim=1)


class SplitStates(nn.Module):
    """Hands on the inputs of each layer, a tensor [B, T, E] each; an image without a label unchanged."""

    def __init__(self, layers: Sequence[RecurrentLayer]):
        super().__init__()
        self.sizes = [sum(layer.sizes) for layer in layers]

    def forward(self, activity: Float[Tensor, "B *T S"]) -> Stream:
        return activity.split(self.sizes, dim=2) if activity.ndim == 3 else (activity,)


class NextLayer(nn.Module):
    """Drops a layer's activity, as the next layer's input is in the stream; if it is not, hands on unit length."""

    def __init__(self):
        super().__init__()
        self.unit = UnitLength()

    def forward(self, activity: Float[Tensor, "B ..."], *waiting: Tensor) -> Stream:
        return waiting or (self.unit(activity),)
