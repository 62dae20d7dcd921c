"""Sweeps: one noise at several strengths, and published devices, as conditions under which learners are compared."""

import difflib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from onward.hardware.noise import Noise
from onward.hardware.presets import PRESETS, preset
from onward.hardware.quantize import QuantizedActivities, QuantizedWeights
from onward.hardware.signals import ActivityNoise, ImpulseNoise, NeuronMismatch, SensorNoise, ShotNoise
from onward.hardware.weights import Mismatch, Offset, ProgrammingNoise, ReadNoise, StuckCells


@dataclass(frozen=True)
class Sweep:
    """A noise model and its strengths, from little noise to much."""

    name: str
    title: str
    axis: str
    """Quantity of a level, with its unit."""
    model: Callable[[float], Noise]
    levels: tuple[float, ...]
    random: bool = True
    """Whether one chip differs from another."""

    def conditions(self) -> tuple["Condition", ...]:
        """Return one condition per level. Raises ValueError for a level that the noise model refuses."""
        return tuple(Condition(self.name, level, (self.model(level),), self.random) for level in self.levels)

    def at(self, levels: Sequence[float]) -> "Sweep":
        """Return the sweep at other levels, each once, from little noise to much."""
        falling = self.levels[0] > self.levels[-1]
        return replace(self, levels=tuple(sorted(dict.fromkeys(levels), reverse=falling)))


@dataclass(frozen=True)
class Condition:
    """What a learner is evaluated under: the noises of a sweep at one level, or of a preset, which has no level."""

    sweep: str
    level: float | None
    noises: tuple[Noise, ...]
    random: bool = True
    """Whether one chip differs from another."""

    def __str__(self) -> str:
        return self.sweep if self.level is None else f"{self.sweep} {self.level:g}"

    @property
    def json_level(self) -> float | Literal["inf"] | None:
        """The level as a JSON value: JSON has no infinity, so infinitely many photons are the text `inf`."""
        return "inf" if self.level is not None and math.isinf(self.level) else self.level


def _bits(model: Callable[[int], Noise]) -> Callable[[float], Noise]:
    def make(level: float) -> Noise:
        if not level.is_integer():
            raise ValueError(f"bits must be a whole number, got {level:g}")
        return model(int(level))

    return make


_SIGMAS = (0.01, 0.02, 0.05, 0.1, 0.2)

SWEEPS = (
    Sweep("mismatch", "Device mismatch", "sigma of each weight's gain", Mismatch, (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)),
    Sweep("shot", "Photon shot noise", "photons of a white pixel", ShotNoise, (1000.0, 300.0, 100.0, 30.0, 10.0)),
    Sweep("impulse", "Impulse noise", "share of values lost", ImpulseNoise, (0.02, 0.05, 0.1, 0.15, 0.2)),
    Sweep(
        "bits", "Weight bits", "bits of a weight", _bits(QuantizedWeights), (8.0, 7.0, 6.0, 5.0, 4.0, 3.0), random=False
    ),
    Sweep("offset", "Device offset", "sigma / largest weight", Offset, _SIGMAS),
    Sweep("programming", "Programming noise", "sigma / largest weight", ProgrammingNoise, _SIGMAS),
    Sweep("read", "Read noise", "sigma / largest weight", ReadNoise, _SIGMAS),
    Sweep("stuck", "Cells stuck at zero", "share of weights", StuckCells, _SIGMAS),
    Sweep("sensor", "Sensor noise", "sigma of a pixel", SensorNoise, _SIGMAS),
    Sweep("neuron", "Neuron mismatch", "sigma of each unit's gain", NeuronMismatch, (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)),
    Sweep("activity", "Activity noise", "sigma / largest activity", ActivityNoise, _SIGMAS),
    Sweep(
        "activity-bits",
        "Activity bits",
        "bits of an activity",
        _bits(QuantizedActivities),
        (8.0, 6.0, 5.0, 4.0, 3.0),
        random=False,
    ),
)
"""Values of `onward compare --noise NAME` beside the presets; the first four are its default."""

DEFAULT_SWEEPS = tuple(sweep.name for sweep in SWEEPS[:4])


def sweep(name: str) -> Sweep | None:
    """Return the sweep of this name, or None."""
    return next((known for known in SWEEPS if known.name == name), None)


def conditions(words: Sequence[str]) -> tuple[Condition, ...]:
    """Read conditions: a sweep's NAME, NAME=LEVEL,LEVEL,... for other levels, a preset's name, or `none`.

    Levels come from little noise to much, each once; shot=inf is no noise. Raises ValueError for an unknown
    name, with the nearest ones, for a level that is no number or that the noise model refuses, and for a noise that is
    named twice.
    """
    every: list[Condition] = []
    for word in words if list(words) != ["none"] else ():
        name, equals, levels = word.partition("=")
        if any(condition.sweep == name for condition in every):
            raise ValueError(f"noise {name} is named twice; give its levels together, as {name}=LEVEL,LEVEL")
        known = sweep(name)
        if known is not None:
            every += (known.at(_levels(word, levels)) if equals else known).conditions()
        elif equals:
            raise ValueError(f"noise {name!r} takes no levels{_hint(name, [s.name for s in SWEEPS])}")
        elif name not in {entry.name for entry in PRESETS}:
            raise ValueError(
                f"unknown noise {name!r}{_hint(name, [s.name for s in SWEEPS] + [p.name for p in PRESETS])}"
            )
        else:
            every.append(Condition(name, None, preset(name).noises))
    return tuple(every)


def _levels(word: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(level) + 0.0 for level in text.split(","))  # -0 is 0
    except ValueError:
        raise ValueError(f"--noise {word}: levels are numbers with commas between them, such as 0.1,0.2") from None


def _hint(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    return f"; did you mean {' or '.join(near)}?" if near else f"; there are {', '.join(known)}"
