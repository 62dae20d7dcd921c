"""Noise of devices that hold weights, in units of the weight or of the tensor's largest magnitude, its full scale."""
# V the shape of a weight tensor

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from onward.core import NonNegative, Positive, Share
from onward.hardware.noise import (
    Lifetime,
    Noise,
    NormalNoise,
    Site,
    full_scale,
    normal,
    uniform,
)


@dataclass(frozen=True)
class Mismatch(NormalNoise):
    """Every device has a gain of its own: w (1 + sigma n), n standard normal, fixed per chip.

    The multiplicative form of the Distance-Forward noise protocol. Raises ValueError for a negative sigma.
    """

    site: ClassVar[Site] = "weights"
    lifetime: ClassVar[Lifetime] = "chip"

    def apply(self, x: Float[Tensor, "*V"], draw: Float[Tensor, "*V"]) -> Float[Tensor, "*V"]:
        return x * (1 + self.sigma * draw).to(x.dtype)


@dataclass(frozen=True)
class Offset(NormalNoise):
    """Every device has an offset of its own: w + sigma max|W| n, n standard normal, fixed per chip.

    The additive form of device mismatch. Raises ValueError for a negative sigma.
    """

    site: ClassVar[Site] = "weights"
    lifetime: ClassVar[Lifetime] = "chip"

    def apply(self, x: Float[Tensor, "*V"], draw: Float[Tensor, "*V"]) -> Float[Tensor, "*V"]:
        return _shifted(x, self.sigma, draw)


@dataclass(frozen=True)
class ProgrammingNoise(NormalNoise):
    """A device is not set exactly: w + sigma max|W| n, n standard normal, new whenever the weights are written.

    Joshi et al. 2020 state programming noise this way, relative to the largest weight. Raises ValueError for a
    negative sigma.
    """

    site: ClassVar[Site] = "weights"
    lifetime: ClassVar[Lifetime] = "programming"

    def apply(self, x: Float[Tensor, "*V"], draw: Float[Tensor, "*V"]) -> Float[Tensor, "*V"]:
        return _shifted(x, self.sigma, draw)


@dataclass(frozen=True)
class ReadNoise(NormalNoise):
    """A device is not read exactly: w + sigma max|W| n, n standard normal, new in every pass through a block.

    One draw is used for all images of a batch. Raises ValueError for a negative sigma.
    """

    site: ClassVar[Site] = "weights"
    lifetime: ClassVar[Lifetime] = "use"

    def apply(self, x: Float[Tensor, "*V"], draw: Float[Tensor, "*V"]) -> Float[Tensor, "*V"]:
        return _shifted(x, self.sigma, draw)


@dataclass(frozen=True)
class Drift(Noise):
    """Conductance decays with time: w (t / t0)^-v, v = max(0, nu + nu_sigma n), n standard normal, fixed per chip.

    The power law of phase-change memory (Joshi et al. 2020). `compensated` multiplies a tensor by the one factor that
    gives it back its sum of magnitudes, as their global drift compensation does with a column's current.
    Raises ValueError for a negative strength, or for a time before t0.
    """

    site: ClassVar[Site] = "weights"
    lifetime: ClassVar[Lifetime] = "chip"

    nu: NonNegative
    """Mean drift exponent."""
    nu_sigma: NonNegative = 0.0
    """Standard deviation of the exponent between devices."""
    seconds: NonNegative = 86400.0
    """Time t since programming at which weights are read, in seconds."""
    t0: Positive = 20.0
    """Time of the first reading, in seconds, from which drift counts."""
    compensated: bool = False
    """Whether a tensor's mean decay is undone by one factor."""

    def __post_init__(self):
        super().__post_init__()
        if self.t0 > self.seconds:
            raise ValueError(f"Drift needs 0 < t0 <= seconds, got t0 {self.t0} and seconds {self.seconds}")

    @property
    def ideal(self) -> bool:
        return (self.nu == 0 and self.nu_sigma == 0) or self.seconds == self.t0

    def draw(self, x: Float[Tensor, "*V"], generator: torch.Generator) -> Float[Tensor, "*V"]:
        return normal(x.shape, generator)

    def apply(self, x: Float[Tensor, "*V"], draw: Float[Tensor, "*V"]) -> Float[Tensor, "*V"]:
        exponent = (self.nu + self.nu_sigma * draw).clamp(min=0)
        drifted = x * torch.exp(-exponent * math.log(self.seconds / self.t0)).to(x.dtype)
        if not self.compensated:
            return drifted
        total = drifted.abs().sum()
        return drifted * torch.where(total > 0, x.abs().sum() / total, torch.ones_like(total))


@dataclass(frozen=True)
class StuckCells(Noise):
    """Some devices never move: a fraction `off` reads 0, a fraction `on` reads plus or minus full scale, half each.

    Fixed per chip. A weight is a pair of conductances; `on` is one device of the pair that conducts fully. Raises
    ValueError unless both are fractions that add up to at most 1.
    """

    site: ClassVar[Site] = "weights"
    lifetime: ClassVar[Lifetime] = "chip"

    off: Share = 0.0
    """Fraction of weights stuck at 0."""
    on: Share = 0.0
    """Fraction of weights stuck at plus or minus full scale."""

    def __post_init__(self):
        super().__post_init__()
        if self.off + self.on > 1:
            raise ValueError(f"off + on of StuckCells must be in [0, 1], got {self.off} + {self.on}")

    @property
    def ideal(self) -> bool:
        return self.off == 0 and self.on == 0

    def draw(self, x: Float[Tensor, "*V"], generator: torch.Generator) -> Float[Tensor, "*V"]:
        return uniform(x.shape, generator)

    def apply(self, x: Float[Tensor, "*V"], draw: Float[Tensor, "*V"]) -> Float[Tensor, "*V"]:
        # `on` counts from the top, so that a larger fraction keeps the cells of a smaller one.
        high = draw >= 1 - self.on / 2
        low = (draw >= 1 - self.on) & ~high
        off = (draw < self.off) & ~high & ~low
        top = full_scale(x)
        return torch.where(high, top, torch.where(low, -top, torch.where(off, torch.zeros_like(x), x)))


def _shifted(x: Float[Tensor, "*V"], sigma: float, draw: Float[Tensor, "*V"]) -> Float[Tensor, "*V"]:
    return x + sigma * full_scale(x) * draw.to(x.dtype)
