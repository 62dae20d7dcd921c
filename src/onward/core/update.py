"""The update: the only place where an autograd graph is built, used and dropped."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from onward.core.block import LocalBlock, detach, shared
from onward.core.constants import numbers
from onward.core.gradients import gradients_on
from onward.core.micro_batches import Piece, split
from onward.core.optimizer import BlockOptimizer
from onward.core.recompute import recomputed
from onward.core.slots import Stream, Target

Context = Callable[[int], AbstractContextManager]
"""Opens the context in which a block computes the micro-batch of that number: its seed and its precision."""

Conditions = Callable[[], AbstractContextManager]


@gradients_on()
def local_update(
    blocks: Sequence[LocalBlock],
    stream: Stream,
    target: Target,
    optimizers: Sequence[BlockOptimizer],
    *,
    deep: bool = False,
) -> tuple[Stream, Float[Tensor, ""]]:
    """Take one optimizer step on the last block's objective over `blocks`; return the stream handed on, and the loss.

    `stream` enters the first block [B, ...], `target` is that of the objectives; `optimizers` has one for each block,
    such as `BlockOptimizer(block, settings)`. The stream handed on is computed with the weights from before the update
    and has no graph. `deep` adds the objectives of the blocks in between. Random draws are torch's own, and
    modules stay in their mode: `LocalTrainer` sets both.

    Raises ValueError for another number of optimizers than blocks, and if no trained weight can change the loss.
    """
    if len(blocks) != len(optimizers) or not blocks:
        raise ValueError(
            f"give one optimizer for each block, and at least one; got {len(optimizers)} for {len(blocks)}"
        )
    pieces = split(stream, target, 1)
    loss = update_span(blocks, pieces, optimizers, [_as_it_is] * len(blocks), deep=deep)
    return pieces[0].stream, loss


def _as_it_is(number: int) -> AbstractContextManager:
    return nullcontext()


def update_span(
    blocks: Sequence[LocalBlock],
    pieces: list[Piece],
    optimizers: Sequence[BlockOptimizer],
    contexts: Sequence[Context],
    *,
    handoff_from: int | None = None,
    deep: bool = False,
    recompute: bool = False,
) -> Float[Tensor, ""]:
    """Minimize the last block's objective over `blocks` and return the loss; gradients of the pieces add up.

    Replaces each piece's stream, in place, by the one handed on by the last block, or by the first `handoff_from`
    blocks, without a graph and computed with the weights from before this update, as in the papers. `deep` adds the
    objectives of the blocks in between. `recompute` keeps only block inputs and computes the rest again in the
    backward pass. A piece without a label that counts adds nothing.
    No graph outlives the call: peak activation memory is that of one span and one piece.
    """
    losses = []
    for number in range(len(pieces)):
        stream, target, share = pieces[number]
        pieces[number], entering = Piece((), target, share), [stream]
        del stream  # `entering` holds the only reference, so that it can be dropped after use
        opened = [partial(context, number) for context in contexts]
        if share == 0:
            loss, stream = _forward_alone(blocks, entering, opened, handoff_from)
        else:
            loss, stream = _forward_backward(blocks, entering, target, share, opened, handoff_from, deep, recompute)
        pieces[number] = Piece(stream, target, share)
        losses.append(loss)
    for optimizer in optimizers:
        optimizer.step()
    return sum(losses[1:], losses[0])


def _forward_backward(
    blocks: Sequence[LocalBlock],
    entering: list[Stream],
    target: Target,
    share: float,
    contexts: Sequence[Conditions],
    handoff_from: int | None,
    deep: bool,
    recompute: bool,
) -> tuple[Float[Tensor, ""], Stream]:
    """Add the gradient of a piece; return its share of the loss, and the stream handed on."""
    stream = entering.pop()
    outgoing, losses = stream if handoff_from == 0 else None, []
    for index, (block, context) in enumerate(zip(blocks[:-1], contexts[:-1], strict=True)):
        compute = partial(_forward_block, block, target if deep else None, context)
        loss, stream = recomputed(block, compute, stream) if recompute else compute(*stream)
        losses += [] if loss is None else [loss]
        if handoff_from == index + 1:
            outgoing = detach(stream)
    last = blocks[-1]
    x, *skips = stream
    with contexts[-1]():
        activity = last.run_body(x, *skips)
        hand_on = last.handoff if shared(activity, x, *skips) else last.hand_on
        del x, stream  # the handoff needs no input, and the graph holds what the gradient needs
        loss = sum(losses, last.loss(activity, target._replace(beside=tuple(skips))))
    if loss.requires_grad:
        loss.backward(numbers(share, loss.dtype, loss.device))
    elif any(p.requires_grad for block in blocks for p in block.parameters()):  # else statistics alone are learned
        raise ValueError(
            f"the loss of {type(last.objective).__name__} depends on no weight that is trained, so nothing would be "
            "learned: does a body, goodness or objective detach what it computes?"
        )
    if outgoing is None:
        with torch.no_grad():
            outgoing = detach(hand_on(activity.detach(), *detach(skips)))
    loss = loss.detach()
    return loss if share == 1 else loss * share, outgoing


@torch.no_grad()
def _forward_alone(
    blocks: Sequence[LocalBlock], entering: list[Stream], contexts: Sequence[Conditions], handoff_from: int | None
) -> tuple[Float[Tensor, ""], Stream]:
    """Return a loss of zero, and the stream handed on, for a piece of which no label counts."""
    stream = entering.pop()
    outgoing = stream if handoff_from == 0 else None
    for index, (block, context) in enumerate(zip(blocks, contexts, strict=True)):
        _, stream = _forward_block(block, None, context, *stream)
        if handoff_from == index + 1:
            outgoing = stream
    return torch.zeros((), device=stream[0].device), detach(stream if outgoing is None else outgoing)


def _forward_block(
    block: LocalBlock, target: Target | None, context: Conditions, *stream: Tensor
) -> tuple[Tensor | None, Stream]:
    """Return the block's loss, if it has an objective and a target is given, and the stream handed on."""
    x, *skips = stream
    with context():
        activity = block.run_body(x, *skips)
        target = None if target is None else target._replace(beside=tuple(skips))
        loss = None if target is None or block.objective is None else block.loss(activity, target)
    return loss, block.handoff(activity, *skips)
