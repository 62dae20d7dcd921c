"""What training costs, and what an objective reaches: measured on any learner, changing nothing in it."""

from onward.measure.flops import Flops, step_flops
from onward.measure.ledger import CATEGORIES, Floor, Held, MemoryMeter, memory_floor
from onward.measure.locality import reached_blocks
from onward.measure.memory import SavedBytes, peak_memory
from onward.measure.phases import PHASES, Phases, clock
from onward.measure.rate import PeakRate, peak_rate

__all__ = [
    "CATEGORIES",
    "PHASES",
    "Floor",
    "Flops",
    "Held",
    "MemoryMeter",
    "PeakRate",
    "Phases",
    "SavedBytes",
    "clock",
    "memory_floor",
    "peak_memory",
    "peak_rate",
    "reached_blocks",
    "step_flops",
]
