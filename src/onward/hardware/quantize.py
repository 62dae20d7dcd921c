"""Quantization: values on a symmetric, uniform grid of 2^bits - 1 levels, rounded to the nearest or stochastically."""
# V the shape of what is rounded, B images or rows

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from onward.core import Positive, Range
from onward.hardware.noise import Lifetime, Noise, Site, uniform

Bits = Annotated[int, Range(2, 16)]


class Quantized(Noise):
    """Base of all quantizations with `bits`: values on a grid. Raises ValueError for bits outside 2 to 16."""

    bits: Bits | None
    stochastic: bool

    @property
    def ideal(self) -> bool:
        return self.bits is None

    def draw(self, x: Float[Tensor, "*V"], generator: torch.Generator) -> Tensor:
        return uniform(x.shape if self.stochastic else (0,), generator)


@dataclass(frozen=True)
class QuantizedWeights(Quantized):
    """Weights as the body reads them, on a grid; in training the optimizer's weights keep their full precision.

    The step is the largest magnitude of the tensor (or of each output channel) over 2^(bits - 1) - 1. Stochastic
    rounding draws when the weights are written. Raises ValueError for bits outside 2 to 16.
    """

    drawn_as: ClassVar[str] = "QuantisedWeights"
    site: ClassVar[Site] = "weights"
    lifetime: ClassVar[Lifetime] = "programming"

    bits: Bits | None
    """Bits of a weight; None: not quantized."""
    per_channel: bool = False
    """Whether each output channel has a step of its own."""
    power_of_two: bool = False
    """Whether the step is raised to the next power of two."""
    stochastic: bool = False
    """Round up with the probability that makes the mean right, instead of to the nearest."""

    def apply(self, x: Float[Tensor, "*V"], draw: Tensor) -> Float[Tensor, "*V"]:
        step = _step(_largest(x, 1 if self.per_channel else 0), self.bits)
        return _on_grid(x, self.bits, _power_of_two(step) if self.power_of_two else step, draw)


@dataclass(frozen=True)
class QuantizedActivities(Quantized):
    """The analog-to-digital converter behind a body: activities on a grid.

    The step is `full_scale` over 2^(bits - 1) - 1; larger activities saturate. Without `full_scale` each image's
    largest magnitude takes its place. Raises ValueError for bits outside 2 to 16 or a full scale that is not positive.
    """

    drawn_as: ClassVar[str] = "QuantisedActivities"
    site: ClassVar[Site] = "activities"
    lifetime: ClassVar[Lifetime] = "use"

    bits: Bits | None
    """Bits of the converter; None: not quantized."""
    full_scale: Positive | None = None
    """Largest magnitude of the converter, in units of the activity; None: each image's own."""
    stochastic: bool = False
    """Round up with the probability that makes the mean right, instead of to the nearest."""

    def apply(self, x: Float[Tensor, "B ..."], draw: Tensor) -> Float[Tensor, "B ..."]:
        top = _largest(x, 1) if self.full_scale is None else torch.full_like(x[:1], self.full_scale)
        return _on_grid(x, self.bits, _step(top, self.bits), draw)


@dataclass(frozen=True)
class QuantizedInputs(QuantizedActivities):
    """The digital-to-analog converter in front of a body: its inputs on a grid; else as `QuantizedActivities`."""

    drawn_as: ClassVar[str] = "QuantisedInputs"
    site: ClassVar[Site] = "inputs"


@dataclass(frozen=True)
class QuantizedUpdates(Quantized):
    """Changes of a weight tensor by an optimizer, on a grid whose largest level is the largest change.

    Stochastic by default: with rounding to the nearest, small changes are lost. Raises ValueError for
    bits outside 2 to 16.
    """

    drawn_as: ClassVar[str] = "QuantisedUpdates"
    site: ClassVar[Site] = "updates"
    lifetime: ClassVar[Lifetime] = "use"

    bits: Bits | None
    """Bits of a change; None: not quantized."""
    stochastic: bool = True
    """Round up with the probability that makes the mean right, instead of to the nearest."""

    def apply(self, x: Float[Tensor, "*V"], draw: Tensor) -> Float[Tensor, "*V"]:
        return _on_grid(x, self.bits, _step(_largest(x, 0), self.bits), draw)


@dataclass(frozen=True)
class QuantizedMemory(Quantized):
    """Stored weights: after every write the optimizer's weights themselves lie on a grid.

    The step is a power of two that grows and shrinks with the largest magnitude, so that a weight which is on the grid
    and is not changed stays the same. Stochastic by default: with rounding to the nearest, changes below half a step
    are lost. Raises ValueError for bits outside 2 to 16.
    """

    drawn_as: ClassVar[str] = "QuantisedMemory"
    site: ClassVar[Site] = "memory"
    lifetime: ClassVar[Lifetime] = "use"

    bits: Bits | None
    """Bits of a weight; None: not quantized."""
    per_channel: bool = False
    """Whether each output channel has a step of its own."""
    stochastic: bool = True
    """Round up with the probability that makes the mean right, instead of to the nearest."""

    def apply(self, x: Float[Tensor, "*V"], draw: Tensor) -> Float[Tensor, "*V"]:
        step = _power_of_two(_step(_largest(x, 1 if self.per_channel else 0), self.bits))
        return _on_grid(x, self.bits, step, draw)


def low_precision(bits: int | None) -> tuple[Noise, ...]:
    """Return noises that train any algorithm in integers: weights, activities and updates.

    All are rounded stochastically except the weights that are read, which lie on the grid after the first write. Only
    what happens inside a body and in an optimizer is exact.
    """
    return (
        QuantizedWeights(bits, power_of_two=True),  # matters until the first write; then weights are on the grid
        QuantizedActivities(bits, stochastic=True),
        QuantizedUpdates(bits),
        QuantizedMemory(bits),
    )


def _largest(x: Tensor, kept: int) -> Tensor:
    """Return the largest magnitude of each of the first `kept` dimensions' entries, ready to broadcast."""
    return x.abs().amax(dim=tuple(range(kept, x.ndim)), keepdim=True)


def _step(top: Tensor, bits: int | None) -> Tensor:
    """Return the step of a grid whose largest level is `top`, in fp32 at least; 1 where all values are zero."""
    step = (top.float() if top.dtype.itemsize < 4 else top) / _levels(bits)
    return torch.where(step > 0, step, torch.ones_like(step))


def _power_of_two(step: Tensor) -> Tensor:
    """Return the smallest power of two that is not below the step."""
    mantissa, exponent = torch.frexp(step)
    return torch.ldexp(torch.ones_like(step), torch.where(mantissa == 0.5, exponent - 1, exponent))


def _on_grid(x: Tensor, bits: int | None, step: Tensor, draw: Tensor) -> Tensor:
    """Round to multiples of `step`; `draw` holds uniform numbers, or nothing for rounding to the nearest."""
    scaled = x.to(step.dtype) / step
    rounded = (scaled + draw.to(step.dtype)).floor() if draw.numel() else scaled.round()
    return (rounded.clamp(-_levels(bits), _levels(bits)) * step).to(x.dtype)


def _levels(bits: int | None) -> int:
    assert bits is not None, "an ideal quantization is never applied"
    return 2 ** (bits - 1) - 1
