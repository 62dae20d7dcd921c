"""Noise of hardware: models of it, published devices, and a chip on which any learner computes and learns."""

from onward.core.renamed import former_names
from onward.hardware.bf16 import bf16_weights
from onward.hardware.conductances import PhaseChange, PolynomialNoise
from onward.hardware.injection import Report, Touched, noisy
from onward.hardware.noise import Lifetime, Noise, Site
from onward.hardware.presets import PRESETS, Preset, preset
from onward.hardware.quantize import (
    QuantizedActivities,
    QuantizedInputs,
    QuantizedMemory,
    QuantizedUpdates,
    QuantizedWeights,
    low_precision,
)
from onward.hardware.signals import (
    ActivityNoise,
    ImpulseNoise,
    NeuronMismatch,
    SensorNoise,
    ShotNoise,
    UpdateNoise,
)
from onward.hardware.sweeps import DEFAULT_SWEEPS, SWEEPS, Condition, Sweep, conditions, sweep
from onward.hardware.weights import Drift, Mismatch, Offset, ProgrammingNoise, ReadNoise, StuckCells

__all__ = [
    "DEFAULT_SWEEPS",
    "PRESETS",
    "SWEEPS",
    "ActivityNoise",
    "Condition",
    "Drift",
    "ImpulseNoise",
    "Lifetime",
    "Mismatch",
    "NeuronMismatch",
    "Noise",
    "Offset",
    "PhaseChange",
    "PolynomialNoise",
    "Preset",
    "ProgrammingNoise",
    "QuantizedActivities",
    "QuantizedInputs",
    "QuantizedMemory",
    "QuantizedUpdates",
    "QuantizedWeights",
    "ReadNoise",
    "Report",
    "SensorNoise",
    "ShotNoise",
    "Site",
    "StuckCells",
    "Sweep",
    "Touched",
    "UpdateNoise",
    "bf16_weights",
    "conditions",
    "low_precision",
    "noisy",
    "preset",
    "sweep",
]

__getattr__ = former_names(
    __name__,
    QuantisedActivities="QuantizedActivities",
    QuantisedInputs="QuantizedInputs",
    QuantisedMemory="QuantizedMemory",
    QuantisedUpdates="QuantizedUpdates",
    QuantisedWeights="QuantizedWeights",
)
