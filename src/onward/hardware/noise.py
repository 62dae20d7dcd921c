"""Noise: what a device does to values, where it does it, and how long one draw lasts."""
# V the shape of what is disturbed

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from onward.core import NonNegative, check_fields

Site = Literal["pixels", "inputs", "activities", "weights", "updates", "memory"]
"""Images in [0, 1]; what enters a body; what leaves it; weights as a body reads them; what an optimizer adds to a
weight; and a weight as it is kept after each such write."""

Lifetime = Literal["chip", "programming", "use"]
"""A draw lasts for ever, until the weights are written again, or for one pass."""


class Noise(ABC):
    """Disturbs the values of one site. A frozen dataclass: its fields are strengths.

    What is random is drawn apart from where it is applied, and does not depend on the strength: chips of one seed
    differ in strength alone.
    """

    site: ClassVar[Site]
    lifetime: ClassVar[Lifetime]
    drawn_as: ClassVar[str] = ""
    """The name that seeds its draws; empty: that of its class. A class that is renamed keeps its numbers by it."""

    def __post_init__(self):
        check_fields(self)

    @property
    @abstractmethod
    def ideal(self) -> bool:
        """Whether it changes nothing; an ideal noise is never applied, so that the clean path stays as it is."""

    @abstractmethod
    def draw(self, x: Float[Tensor, "*V"], generator: torch.Generator) -> Tensor:
        """Return what is random about disturbing `x`, on the generator's device."""

    @abstractmethod
    def apply(self, x: Float[Tensor, "*V"], draw: Tensor) -> Float[Tensor, "*V"]:
        """Return the disturbed values; `x` stays as it is."""

    def __call__(self, x: Float[Tensor, "*V"], generator: torch.Generator) -> Float[Tensor, "*V"]:
        """Draw and apply; without strength, return `x` itself and draw nothing."""
        return x if self.ideal else self.apply(x, self.draw(x, generator))


@dataclass(frozen=True)
class NormalNoise(Noise):
    """A noise of one strength, with a standard normal number for each value. Raises ValueError for a negative sigma."""

    sigma: NonNegative
    """Standard deviation, as a fraction of what the class names; 0: no noise."""

    @property
    def ideal(self) -> bool:
        return self.sigma == 0

    def draw(self, x: Float[Tensor, "*V"], generator: torch.Generator) -> Float[Tensor, "..."]:
        return normal(x.shape, generator)


def normal(shape: tuple[int, ...], generator: torch.Generator) -> Float[Tensor, "..."]:
    """Return standard normal numbers of fp32, whatever precision they disturb."""
    return torch.randn(shape, generator=generator, device=generator.device)


def uniform(shape: tuple[int, ...], generator: torch.Generator) -> Float[Tensor, "..."]:
    """Return numbers in [0, 1) of fp32."""
    return torch.rand(shape, generator=generator, device=generator.device)


def full_scale(weight: Float[Tensor, "*V"]) -> Float[Tensor, ""]:
    """Return the largest magnitude of a tensor: the weight that a device's largest conductance stands for."""
    return weight.abs().amax()
