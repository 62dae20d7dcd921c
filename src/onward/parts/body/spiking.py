"""Spiking layers: leaky integrate-and-fire neurons, whose spikes are handed on and whose potential goodness reads."""
# B batch, T time steps, U = 1 + T, D channels or features, H W map

from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from onward.core import Goodness, Learner, Stream, Target, WrappedGoodness
from onward.parts.ops.batch_norm import has_batch_norm
from onward.parts.ops.one_hot import one_hot

Coding = Literal["rate", "latency", "current"]
"""rate: brighter pixels spike more often, evenly spaced; latency: once, and earlier; current: pixels are no spikes but
a current that the first neurons integrate, the same at every step."""


def encode(x: Float[Tensor, "B ..."], steps: int, coding: Coding) -> Float[Tensor, "B T ..."]:
    """Return a train [B, T, ...] of values in [0, 1]; nothing is drawn at random.

    Rate: after t steps a pixel of value p has spiked round(t p) times. Latency: it spikes once, at the step
    round((1 - p) (T - 1)), and never if it is 0. Current: p at every step.
    """
    x = x.clamp(0, 1)
    if coding == "current":
        return x[:, None].expand(-1, steps, *x.shape[1:])
    time = torch.arange(steps + 1, device=x.device, dtype=x.dtype).view(1, -1, *[1] * (x.ndim - 1))
    if coding == "rate":
        return (time * x[:, None] + 0.5).floor().diff(dim=1)
    first = ((1 - x) * (steps - 1)).round()
    return ((time[:, :-1] == first[:, None]) & (x > 0)[:, None]).to(x.dtype)


def integrate_and_fire(current: Float[Tensor, "B T ..."], leak: float, threshold: float) -> Float[Tensor, "B T ..."]:
    """Return the spikes of leaky integrate-and-fire neurons: v = leak v + current, less the threshold after a spike."""
    potential, spikes = torch.zeros_like(current[:, 0]), torch.empty_like(current)
    for t in range(current.shape[1]):
        potential = leak * potential + current[:, t]
        spikes[:, t] = (potential >= threshold).to(current.dtype)
        potential = potential - threshold * spikes[:, t]
    return spikes


def trace_weights(steps: int, leak: float) -> list[float]:
    """Return the weight of each step's input in the mean potential without threshold; weights add up to 1."""
    raw = [sum(leak**d for d in range(steps - t)) for t in range(steps)]
    return [weight / sum(raw) for weight in raw]


class SpikingLayer(nn.Module):
    """A linear body whose neurons spike: from a spike train to the potential, then the spikes, [B, 1 + T, ...].

    The potential is the mean over time of neurons without threshold and reset, rectified; the weights of the steps of
    the input in it, its trace, add up to 1. Before rectification it is linear in the weights, so its gradient is exact:
    the error times the presynaptic trace. The spikes carry no graph: the spiking non-linearity is never differentiated,
    and no surrogate gradient is needed. Inputs are scaled per sample to a trace of root mean square 1, as
    Forward-Forward does between its layers: the number of spikes of the layer before cannot be read, and neurons
    neither fall silent nor saturate with depth.

    Raises ValueError for a body with batch norm, for fewer than 1 step, a leak outside [0, 1], or a threshold that is
    not positive.
    """

    weights: Tensor

    def __init__(self, body: nn.Module, *, steps: int, leak: float, threshold: float, coding: Coding | None = None):
        """`coding` is how a first layer turns images into spikes; a later one is given spikes."""
        super().__init__()
        if has_batch_norm([body]):
            raise ValueError("spiking layers take bodies without batch norm, which mixes their steps")
        if steps < 1 or not 0 <= leak <= 1 or not threshold > 0:
            raise ValueError(
                f"needs at least 1 step, a leak in [0, 1] and a threshold > 0, got {steps}, {leak}, {threshold}"
            )
        self.body = body
        self.steps, self.leak, self.threshold = steps, leak, threshold
        self.coding: Coding | None = coding
        self.register_buffer("weights", torch.tensor(trace_weights(steps, leak)), persistent=False)

    def exact(self) -> nn.Module:
        """Return the same body with rectified units in place of neurons: for controls."""
        return nn.Sequential(self.body, nn.ReLU())

    def forward(self, x: Float[Tensor, "B ..."]) -> Float[Tensor, "B U ..."]:
        train = x if self.coding is None else encode(x, self.steps, self.coding)
        trace = torch.einsum("bt...,t->b...", train, self.weights.to(train.dtype))
        gain = (trace.flatten(1).square().mean(dim=1) + 1e-8).rsqrt().view(-1, *[1] * (trace.ndim - 1))
        trace, train = trace * gain, train * gain[:, None]
        potential = self.body(trace)
        with torch.no_grad():
            spikes = integrate_and_fire(self._current(train, potential), self.leak, self.threshold)
        return torch.cat([potential.relu()[:, None], spikes.to(potential.dtype)], dim=1)

    def _current(self, train: Float[Tensor, "B T ..."], potential: Float[Tensor, "B ..."]) -> Float[Tensor, "B T ..."]:
        if self.coding == "current":  # the trace equals the input of every step: computed already
            return potential[:, None].expand(-1, self.steps, *potential.shape[1:])
        return self.body(train.flatten(0, 1)).unflatten(0, train.shape[:2])


class OfPotential(WrappedGoodness):
    """Another goodness, read from the potential of a spiking layer."""

    def forward(self, activity: Float[Tensor, "B U ..."]) -> Float[Tensor, "B *C"]:
        return self.goodness(self.seen(activity))

    def seen(self, activity: Float[Tensor, "B U ..."]) -> Float[Tensor, "B ..."]:
        return activity[:, 0]


class SpikesOnly(nn.Module):
    """Hands on the spikes of a spiking layer, each step pooled by `pool`; max pooling keeps them binary."""

    def __init__(self, pool: nn.Module | None = None):
        super().__init__()
        self.pool = pool if pool is not None else nn.Identity()

    def forward(self, activity: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        if activity.ndim % 2 == 0:  # a control that does not spike has no steps
            return self.pool(activity)
        spikes = activity[:, 1:]
        return self.pool(spikes.flatten(0, 1)).unflatten(0, spikes.shape[:2])


class EachStep(nn.Module):
    """Applies `join` to skip connections of spikes, step by step."""

    def __init__(self, join: nn.Module):
        super().__init__()
        self.join = join

    def forward(self, x: Float[Tensor, "B ..."], *skips: Tensor) -> Stream:
        if x.ndim % 2 == 0:  # a control that does not spike has no steps
            return self.join(x, *skips)
        stream = self.join(*(tensor.flatten(0, 1) for tensor in (x, *skips)))
        return tuple(tensor.unflatten(0, x.shape[:2]) for tensor in stream)


class ClassDifficulty(WrappedGoodness):
    """Another goodness, whose scores are lowered for hard classes in training.

    The share of misclassified training images of each class is a running mean with momentum 0.99. In training, the
    score of a class is lowered by `strength` times its share, so that hard classes need a larger margin. FFGAF-SNN's
    class-aware complexity adaptation, reconstructed from its name alone.
    """

    per_class: ClassVar[bool] = True
    errors: Tensor

    def __init__(self, goodness: Goodness, num_classes: int, *, strength: float):
        super().__init__(goodness)
        self.strength = strength
        self.register_buffer("errors", torch.zeros(num_classes))

    def forward(self, activity: Float[Tensor, "B ..."]) -> Float[Tensor, "B C"]:
        scores = self.goodness(activity)
        return scores - self.strength * self.errors.to(scores.dtype) if self.training else scores

    @torch.no_grad()
    def update_statistics(self, activity: Float[Tensor, "B ..."], target: Target) -> None:
        if self.training:
            self._count(activity, target)
        super().update_statistics(activity, target)

    def _count(self, activity: Float[Tensor, "B ..."], target: Target) -> None:
        members = one_hot(target.label, len(self.errors), self.errors.dtype)
        wrong = (self.goodness(activity).argmax(dim=1) != target.label).to(self.errors.dtype)
        counts = members.sum(dim=0)
        self.errors.lerp_(wrong @ members / counts.clamp_min(1), 0.01 * counts.clamp_max(1))


@torch.no_grad()
def spike_rates(learner: Learner, images: Tensor) -> list[float]:
    """Return the mean number of spikes per neuron and step of each spiking block: the cost on an event-driven chip."""
    rates = []
    for block, activity, _ in learner.run_blocks(learner.supervision.neutral_view(learner.prepare(images))):
        if isinstance(block.body, SpikingLayer):
            rates.append(float(activity[:, 1:].mean()))
    return rates
