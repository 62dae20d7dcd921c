"""Noise: how a device disturbs values, at which site, and how long one draw lasts."""
# V the shape of what is disturbed

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from onward.core import NonNegative, check_fields

Site = Literal["pixels", "inputs", "activities", "weights", "updates", "memory"]
"""Images in [0, 1]; input of a body; output of a body; weights as a body reads them; change of a weight by an
optimizer; and the stored weight after each such write."""

Lifetime = Literal["chip", "programming", "use"]
"""A draw lasts for ever, until the weights are written again, or for one pass."""


class Noise(ABC):
    """Disturbs the values of one site. A frozen dataclass: its fields are strengths.

    Random numbers are drawn separately from their use, and do not depend on the strength: chips of one seed differ in
    strength alone.
    """

    site: ClassVar[Site]
    lifetime: ClassVar[Lifetime]
    drawn_as: ClassVar[str] = ""
    """The name that seeds its draws; empty: that of its class. With it a renamed class draws the same numbers."""

    def __post_init__(self):
        check_fields(self)

    @property
    @abstractmethod
    def ideal(self) -> bool:
        """Whether it changes nothing; an ideal noise is never applied, so that clean results are unchanged."""

    @abstractmethod
    def draw(self, x: Float[Tensor, "*V"], generator: torch.Generator) -> Tensor:
        """Return the random numbers that disturb `x`, on the generator's device."""

    @abstractmethod
    def apply(self, x: Float[Tensor, "*V"], draw: Tensor) -> Float[Tensor, "*V"]:
        """Return the disturbed values; `x` is unchanged."""

    def __call__(self, x: Float[Tensor, "*V"], generator: torch.Generator) -> Float[Tensor, "*V"]:
        """Draw and apply; without strength, return `x` itself and draw nothing."""
        return x if self.ideal else self.apply(x, self.draw(x, generator))


@dataclass(frozen=True)
class NormalNoise(Noise):
    """A noise of one strength, with a standard normal number for each value. Raises ValueError for a negative sigma."""

    sigma: NonNegative
    """Standard deviation, as a fraction of the scale in the class's docstring; 0: no noise."""

    @property
    def ideal(self) -> bool:
        return self.sigma == 0

    def draw(self, x: Float[Tensor, "*V"], generator: torch.Generator) -> Float[Tensor, "..."]:
        return normal(x.shape, generator)


def normal(shape: tuple[int, ...], generator: torch.Generator) -> Float[Tensor, "..."]:
    """Return standard normal numbers of fp32, for values of any precision."""
    return torch.randn(shape, generator=generator, device=generator.device)


def uniform(shape: tuple[int, ...], generator: torch.Generator) -> Float[Tensor, "..."]:
    """Return numbers in [0, 1) of fp32."""
    return torch.rand(shape, generator=generator, device=generator.device)


def full_scale(weight: Float[Tensor, "*V"]) -> Float[Tensor, ""]:
    """Return the largest magnitude of a tensor: the weight at a device's largest conductance."""
    return weight.abs().amax()
