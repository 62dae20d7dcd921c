"""Handoffs: the input of the next block from a block's activity, without a graph."""

from onward.parts.handoff.fusion import Gather, fusion_block, gather_from
from onward.parts.handoff.norms import ClassNorm, Handoff, SampleNorm, UnitLength

__all__ = ["ClassNorm", "Gather", "Handoff", "SampleNorm", "UnitLength", "fusion_block", "gather_from"]
