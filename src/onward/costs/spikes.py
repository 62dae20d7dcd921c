"""The cost of a prediction of a spiking network: spikes, the additions that they cause, and multiply-adds."""
# B batch

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from onward.core import Learner
from onward.measure import PICOJOULES, operations_of
from onward.parts.body.spiking import SpikingLayer, encode

PICOJOULES_PER_ADDITION = 0.9
"""Picojoules of an fp32 sum: Horowitz 2014, 45 nm. A multiply-add has 4.6."""


@dataclass(frozen=True)
class SpikeCost:
    """Costs of a spiking layer per image. Additions: spikes that enter, times the mean number of neurons they reach."""

    block: int
    neurons: int
    spikes: float
    """Spikes of the layer, over all neurons and time steps."""
    entering: float
    """Spikes that enter the layer."""
    additions: float
    multiply_adds: float
    """Multiply-adds of a layer that a current enters: the same at every step, so computed once. Else 0."""
    macs: float
    """Multiply-adds of the same layer without spikes, which computes once."""

    @property
    def spikes_per_neuron(self) -> float:
        return self.spikes / self.neurons

    @property
    def joules(self) -> float:
        """Energy of the additions and multiply-adds."""
        return 1e-12 * (PICOJOULES_PER_ADDITION * self.additions + PICOJOULES["fp32"] * self.multiply_adds)

    @property
    def dense_joules(self) -> float:
        """Energy of the same layer without spikes."""
        return 1e-12 * PICOJOULES["fp32"] * self.macs


@dataclass(frozen=True)
class Spikes:
    """A prediction of a network that spikes: spikes per neuron and image, and joules, those without spikes beside."""

    spikes_per_neuron: float
    joules: float
    dense_joules: float
    layers: tuple[SpikeCost, ...]


@torch.no_grad()
def spike_costs(learner: Learner, images: Float[Tensor, "B ..."] | UInt8[Tensor, "B ..."]) -> list[SpikeCost]:
    """Count the spikes of every spiking layer on some images; the list is empty for a network without them.

    Leak, threshold, the gain of inputs, read-outs and memory are not counted. If a body averages spikes, each value
    other than zero counts as a spike. Put the learner into evaluation mode first.
    """
    costs = []
    if not any(isinstance(block.body, SpikingLayer) for block in learner.blocks):
        return costs
    stream = learner.supervision.neutral_view(learner.prepare(images))
    for k, block in enumerate(learner.blocks):
        x = stream[0]
        activity, stream = block(*stream)
        if isinstance(block.body, SpikingLayer):
            costs.append(_cost(k, block.body, x, activity))
    return costs


def summary(costs: list[SpikeCost]) -> Spikes | None:
    """Return the cost of a prediction of the whole network; None without spiking layers."""
    if not costs:
        return None
    return Spikes(
        spikes_per_neuron=sum(cost.spikes for cost in costs) / sum(cost.neurons for cost in costs),
        joules=sum(cost.joules for cost in costs),
        dense_joules=sum(cost.dense_joules for cost in costs),
        layers=tuple(costs),
    )


def _cost(block: int, layer: SpikingLayer, x: Tensor, activity: Tensor) -> SpikeCost:
    train = x if layer.coding is None else encode(x, layer.steps, layer.coding)
    macs = sum(operations_of(lambda: layer.body(train[:, 0])).macs.values()) / len(x)
    current = layer.coding == "current"
    entering = 0.0 if current else float(train.count_nonzero()) / len(x)
    return SpikeCost(
        block=block,
        neurons=activity[0, 0].numel(),
        spikes=float(activity[:, 1:].sum()) / len(x),
        entering=entering,
        additions=entering * macs / train[0, 0].numel(),
        multiply_adds=macs if current else 0.0,
        macs=macs,
    )
