"""Comparing: methods side by side, under noise and learning on noisy chips."""

from onward.compare.recovery import Recovery, Stream, recover

__all__ = ["Recovery", "Stream", "recover"]
