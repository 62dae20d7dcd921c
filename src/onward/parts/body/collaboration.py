"""Layer collaboration: a block's objective also trains neighbors of the block."""

from collections.abc import Sequence
from typing import Literal, get_args

from torch import nn

from onward.core import Turns, alternating, chunks, each, pairs
from onward.parts.body.feedback import RandomFeedback, with_random_feedback

Collaboration = Literal["none", "alternating", "sliding", "disjoint"]
"""none: each block alone; else pairs of neighbors, alternating by step, overlapping in every step, or disjoint."""


def collaborate(how: Collaboration, num_blocks: int) -> Turns:
    """Return the spans of a collaboration.

    Raises ValueError for an unknown one, and for overlapping pairs of a single block.
    """
    if how == "none":
        return (each(num_blocks),)
    if how == "alternating":
        return alternating(num_blocks)
    if how == "sliding":
        return (pairs(num_blocks),)
    if how == "disjoint":
        return (chunks(num_blocks, min(2, num_blocks)),)
    raise ValueError(f"collaboration must be one of {', '.join(get_args(Collaboration))}, got {how!r}")


def scored(turns: Turns) -> set[int]:
    """Return the blocks that end a span in some step, which need a goodness."""
    return {span.last for turn in turns for span in turn}


def with_feedback(bodies: Sequence[nn.Module], turns: Turns) -> list[nn.Module]:
    """Give random feedback to every body that sends a gradient to another, in place.

    Raises ValueError if there is no such body, or if one has neither a linear nor a convolutional layer.
    """
    senders = {k for turn in turns for span in turn for k in range(span.first + 1, span.last + 1)}
    if not senders:
        raise ValueError("random feedback needs blocks that collaborate; choose a collaboration other than none")
    trained = [with_random_feedback(body) if k in senders else body for k, body in enumerate(bodies)]
    for k in sorted(senders):
        if not any(isinstance(module, RandomFeedback) for module in trained[k].modules()):
            raise ValueError(
                f"block {k} has no linear or convolutional layer to send random feedback through; "
                "choose another network, or exact feedback"
            )
    return trained
