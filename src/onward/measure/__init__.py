"""The cost of training and the locality of objectives, measured on any learner without changing it."""

from onward.measure.counted_energy import PICOJOULES, PICOJOULES_PER_BYTE, Operations, operations_of, step_operations
from onward.measure.energy_meters import EnergyMeter, Measured, energy_meter, idle_power, measured_energy
from onward.measure.flops import Flops, step_flops
from onward.measure.live_memory import CATEGORIES, Floor, Held, MemoryMeter, memory_floor
from onward.measure.locality import Locality, locality_of, reached_blocks
from onward.measure.memory import SavedBytes, peak_memory
from onward.measure.peak_rates import PeakRate, peak_rate
from onward.measure.phases import PHASES, Phases, clock

__all__ = [
    "CATEGORIES",
    "PHASES",
    "PICOJOULES",
    "PICOJOULES_PER_BYTE",
    "EnergyMeter",
    "Floor",
    "Flops",
    "Held",
    "Locality",
    "Measured",
    "MemoryMeter",
    "Operations",
    "PeakRate",
    "Phases",
    "SavedBytes",
    "clock",
    "energy_meter",
    "idle_power",
    "locality_of",
    "measured_energy",
    "memory_floor",
    "operations_of",
    "peak_memory",
    "peak_rate",
    "reached_blocks",
    "step_flops",
    "step_operations",
]
