"""Measured memories: a weight is the difference of two conductances, of which one is programmed to zero."""
# V the shape of a weight tensor

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from onward.core import Finite, NonNegative
from onward.hardware.noise import Lifetime, Noise, Site, full_scale, normal


@dataclass(frozen=True)
class PolynomialNoise(Noise):
    """Programming noise whose size depends on the conductance: g + scale s(g) n, never below 0, n standard normal.

    s(g) = sum_i c_i g^i, with g and s as fractions of the largest conductance, for each device of the pair that makes
    up a weight. The form of the device models of aihwkit (Rasch et al. 2021). Raises ValueError for no coefficients or
    a negative scale.
    """

    site: ClassVar[Site] = "weights"
    lifetime: ClassVar[Lifetime] = "programming"

    coefficients: tuple[Finite, ...]
    """c_0, c_1, ... as fractions of the largest conductance."""
    scale: NonNegative = 1.0
    """Multiplies the measured noise; 0 switches it off."""

    def __post_init__(self):
        super().__post_init__()
        if not self.coefficients:
            raise ValueError("PolynomialNoise needs at least one coefficient; (0.02,) is noise of 2 % everywhere")

    @property
    def ideal(self) -> bool:
        return self.scale == 0

    def draw(self, x: Float[Tensor, "*V"], generator: torch.Generator) -> Float[Tensor, "2 *V"]:
        return normal((2, *x.shape), generator)

    def apply(self, x: Float[Tensor, "*V"], draw: Float[Tensor, "2 *V"]) -> Float[Tensor, "*V"]:
        g = _conductances(x)
        return _weights(x, (g + self.scale * _polynomial(self.coefficients, g) * draw).clamp(min=0))


@dataclass(frozen=True)
class PhaseChange(Noise):
    """Phase-change memory read `seconds` after programming: programming noise, drift, accumulated 1/f noise.

    With g as a fraction of the largest conductance, n1, n2, n3 standard normal per device, all drawn when the
    weights are written:

    - programmed: p = max(0, g + s(g) n1), s(g) = (0.26348 + 1.9650 g - 1.1731 g^2) / 25
    - drift: d = p (t / t0)^-v, v = |m(g) + q(g) n2|, t = seconds + t0, t0 = 20 s,
      m = clip(0.0244 - 0.0155 ln g, 0.049, 0.1), q = clip(-0.0059 - 0.0125 ln g, 0.008, 0.045)
    - read: max(0, d + d r(p) sqrt(ln((t + tr) / 2 tr)) n3), r = min(0.0088 / p^0.65, 0.2), tr = 250 ns

    Coefficients as in aihwkit's PCMLikeNoiseModel (largest conductance 25 microsiemens), which names Nandakumar et
    al., ICECS 2019; the same statistics are described by Joshi et al., Nature Communications 11, 2473 (2020). Noise
    of single reads is not in it; add `ReadNoise`. Raises ValueError for a negative time or scale.
    """

    site: ClassVar[Site] = "weights"
    lifetime: ClassVar[Lifetime] = "programming"

    seconds: NonNegative = 0.0
    """Time between the end of programming and the use of the weights."""
    programming: NonNegative = 1.0
    """Multiplies the programming noise."""
    drift: NonNegative = 1.0
    """Multiplies the drift exponents."""
    read: NonNegative = 1.0
    """Multiplies the accumulated noise."""

    @property
    def ideal(self) -> bool:
        return self.programming == 0 and self.read == 0 and (self.drift == 0 or self.seconds == 0)

    def draw(self, x: Float[Tensor, "*V"], generator: torch.Generator) -> Float[Tensor, "3 2 *V"]:
        return normal((3, 2, *x.shape), generator)

    def apply(self, x: Float[Tensor, "*V"], draw: Float[Tensor, "3 2 *V"]) -> Float[Tensor, "*V"]:
        t0, read_time = 20.0, 250e-9
        time = self.seconds + t0
        g = _conductances(x)
        sigma = _polynomial([c / 25 for c in (0.26348, 1.9650, -1.1731)], g)
        programmed = (g + self.programming * sigma * draw[0]).clamp(min=0)

        log = g.clamp(min=1e-7).log()
        mean = (0.0244 - 0.0155 * log).clamp(0.049, 0.1)
        spread = (-0.0059 - 0.0125 * log).clamp(0.008, 0.045)
        exponent = self.drift * (mean + spread * draw[1]).abs()
        drifted = programmed * torch.exp(-exponent * math.log(time / t0))

        relative = (0.0088 / programmed.pow(0.65).clamp(min=1e-3)).clamp(max=0.2)
        elapsed = math.sqrt(math.log((time + read_time) / (2 * read_time)))
        return _weights(x, (drifted * (1 + self.read * elapsed * relative * draw[2])).clamp(min=0))


def _conductances(weight: Float[Tensor, "*V"]) -> Float[Tensor, "2 *V"]:
    """Return the pair as fractions of the largest conductance; one of the two is zero."""
    top = full_scale(weight)
    relative = weight.float() / torch.where(top > 0, top, torch.ones_like(top))
    return torch.stack([relative, -relative]).clamp(min=0)


def _weights(like: Float[Tensor, "*V"], pair: Float[Tensor, "2 *V"]) -> Float[Tensor, "*V"]:
    return (pair[0] - pair[1]).to(like.dtype) * full_scale(like)


def _polynomial(coefficients: Sequence[float], g: Tensor) -> Tensor:
    total = torch.zeros_like(g)
    for coefficient in reversed(coefficients):
        total = total * g + coefficient
    return total
