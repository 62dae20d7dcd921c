"""Noise of sensors, of activities and of updates."""
# V the shape of what is disturbed, B images or rows

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from onward.core import Range, Share
from onward.hardware.noise import Lifetime, Noise, NormalNoise, Site, normal, uniform


@dataclass(frozen=True)
class ShotNoise(Noise):
    """Photons are counted: Poisson(photons x) / photons for pixels x in [0, 1], new in every use.

    Mean x, variance x / photons; values may exceed 1. A pixel below 0, which another noise may leave, counts none.
    Raises ValueError unless photons are more than 0.
    """

    site: ClassVar[Site] = "pixels"
    lifetime: ClassVar[Lifetime] = "use"

    photons: Annotated[float, Range(0, math.inf, above=True)] = math.inf
    """Photons that a white pixel receives on average; infinitely many: no noise."""

    @property
    def ideal(self) -> bool:
        return self.photons > 1e15  # below what fp32 can tell

    def draw(self, x: Float[Tensor, "*V"], generator: torch.Generator) -> Float[Tensor, "*V"]:
        return torch.poisson(x.float().clamp(min=0) * self.photons, generator=generator)

    def apply(self, x: Float[Tensor, "*V"], draw: Float[Tensor, "*V"]) -> Float[Tensor, "*V"]:
        return (draw / self.photons).to(x.dtype)


@dataclass(frozen=True)
class ImpulseNoise(Noise):
    """Salt and pepper: a pixel becomes 0 or 1, half each, with this probability, new in every use.

    Each value of a color pixel is hit on its own. Raises ValueError unless it is a probability.
    """

    site: ClassVar[Site] = "pixels"
    lifetime: ClassVar[Lifetime] = "use"

    probability: Share
    """Fraction of values that are lost."""

    @property
    def ideal(self) -> bool:
        return self.probability == 0

    def draw(self, x: Float[Tensor, "*V"], generator: torch.Generator) -> Float[Tensor, "*V"]:
        return uniform(x.shape, generator)

    def apply(self, x: Float[Tensor, "*V"], draw: Float[Tensor, "*V"]) -> Float[Tensor, "*V"]:
        half = self.probability / 2
        dark = torch.where(draw < half, torch.zeros_like(x), x)
        return torch.where(draw >= 1 - half, torch.ones_like(x), dark)


@dataclass(frozen=True)
class SensorNoise(NormalNoise):
    """Electronic noise of a sensor: x + sigma n for pixels x in [0, 1], n standard normal, new in every use.

    Values may leave [0, 1]. Raises ValueError for a negative sigma.
    """

    site: ClassVar[Site] = "pixels"
    lifetime: ClassVar[Lifetime] = "use"

    def apply(self, x: Float[Tensor, "*V"], draw: Float[Tensor, "*V"]) -> Float[Tensor, "*V"]:
        return x + (self.sigma * draw).to(x.dtype)


@dataclass(frozen=True)
class NeuronMismatch(NormalNoise):
    """Every unit has a gain of its own: a (1 + sigma n), n standard normal, fixed per chip, the same for all images.

    Raises ValueError for a negative sigma.
    """

    site: ClassVar[Site] = "activities"
    lifetime: ClassVar[Lifetime] = "chip"

    def draw(self, x: Float[Tensor, "B ..."], generator: torch.Generator) -> Float[Tensor, "..."]:
        return normal(x.shape[1:], generator)

    def apply(self, x: Float[Tensor, "B ..."], draw: Float[Tensor, "..."]) -> Float[Tensor, "B ..."]:
        return x * (1 + self.sigma * draw).to(x.dtype)


@dataclass(frozen=True)
class ActivityNoise(NormalNoise):
    """Noise of an analog output: a + sigma max|a| n, n standard normal, new in every use.

    The largest magnitude is that of the same image's activities. Raises ValueError for a negative sigma.
    """

    site: ClassVar[Site] = "activities"
    lifetime: ClassVar[Lifetime] = "use"

    def apply(self, x: Float[Tensor, "B ..."], draw: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        top = x.abs().amax(dim=tuple(range(1, x.ndim)), keepdim=True)
        return x + self.sigma * top * draw.to(x.dtype)


@dataclass(frozen=True)
class UpdateNoise(NormalNoise):
    """A write does not move a weight exactly: d (1 + sigma n) for a change d, n standard normal, new in every write.

    Variation from cycle to cycle. Raises ValueError for a negative sigma.
    """

    site: ClassVar[Site] = "updates"
    lifetime: ClassVar[Lifetime] = "use"

    def apply(self, x: Float[Tensor, "*V"], draw: Float[Tensor, "*V"]) -> Float[Tensor, "*V"]:
        return x * (1 + self.sigma * draw).to(x.dtype)
