"""Presets: noise of published devices, each with the source of its numbers."""

import difflib
from dataclasses import dataclass

from onward.hardware.conductances import PhaseChange, PolynomialNoise
from onward.hardware.noise import Noise

_DAY = 86400.0
_PCM = (
    "Phase-change memory, coefficients of aihwkit's PCMLikeNoiseModel, which names Nandakumar et al., ICECS 2019; "
    "described in Joshi et al., Nature Communications 11, 2473 (2020)"
)
_RRAM = (
    "Resistive memory, coefficients of aihwkit's ReRamWan2022NoiseModel, which its authors read off the figures of "
    "Wan et al., Nature 608, 504 (2022); largest conductance 40 microsiemens"
)


@dataclass(frozen=True)
class Preset:
    """A named device. Give `noises` to `noisy`."""

    name: str
    noises: tuple[Noise, ...]
    source: str
    """Publication, and how the numbers were taken from it."""


def _resistive(*microsiemens: float) -> tuple[Noise, ...]:
    return (PolynomialNoise(tuple(c / 40 for c in microsiemens)),)


PRESETS = (
    Preset("pcm-fresh", (PhaseChange(0.0),), _PCM),
    Preset("pcm-hour", (PhaseChange(3600.0),), _PCM),
    Preset("pcm-day", (PhaseChange(_DAY),), _PCM),
    Preset("pcm-year", (PhaseChange(365 * _DAY),), _PCM),
    Preset("rram-second", _resistive(0.348, 16.030, -43.853, 45.393, -16.815), _RRAM),
    Preset("rram-day", _resistive(0.701, 22.086, -50.773, 47.095, -16.458), _RRAM),
    Preset("rram-two-days", _resistive(0.782, 20.274, -43.507, 37.062, -11.934), _RRAM),
)


def preset(name: str) -> Preset:
    """Return the preset of this name. Raises ValueError for an unknown one, with the nearest names."""
    known = {entry.name: entry for entry in PRESETS}
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
    raise ValueError(f"unknown device preset {name!r}; {hint}")
