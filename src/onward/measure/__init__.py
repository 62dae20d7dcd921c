"""What training costs, and what an objective reaches: measured on any learner, changing nothing in it."""

from onward.measure.locality import reached_blocks
from onward.measure.memory import SavedBytes, peak_memory

__all__ = ["SavedBytes", "peak_memory", "reached_blocks"]
