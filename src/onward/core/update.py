"""The update: the one place where a graph is born, used and dropped."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from jaxtyping import Float
from torch import Tensor

from onward.core.block import LocalBlock, Stream, detach
from onward.core.optimizer import BlockOptimizer
from onward.core.slots import Target

Context = Callable[[], AbstractContextManager]
"""Opens the conditions under which one block computes: its seed and its precision."""


def local_update(
    blocks: Sequence[LocalBlock],
    stream: Stream,
    target: Target,
    optimizers: Sequence[BlockOptimizer],
    contexts: Sequence[Context],
) -> tuple[Stream, Float[Tensor, ""]]:
    """Minimise the last block's objective over `blocks`; return what it hands on and the loss, both without a graph.

    The stream handed on is computed with the weights from before this update, as in the papers. The graph does not
    outlive the call, so peak activation memory is that of one span.
    """
    stream = detach(stream)
    for block, context in zip(blocks[:-1], contexts[:-1], strict=True):
        with context():
            _, stream = block(*stream)
    last = blocks[-1]
    x, *skips = stream
    with contexts[-1]():
        activity = last.body(x)
        loss = last.losses(activity, target).mean()
    loss.backward()
    for optimizer in optimizers:
        optimizer.step()
    with torch.no_grad():  # the handoff needs no graph
        return detach(last.handoff(activity.detach(), *detach(skips))), loss.detach()
