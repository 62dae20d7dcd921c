"""The update: the one place where a graph is born, used and dropped."""
# V views of an image, B images

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from onward.core.block import LocalBlock, detach
from onward.core.optimizer import BlockOptimizer
from onward.core.recompute import recomputed
from onward.core.slots import Stream, Target

Context = Callable[[int], AbstractContextManager]
"""Opens the conditions under which a block computes the micro-batch of that number: its seed and its precision."""

Conditions = Callable[[], AbstractContextManager]


def local_update(
    blocks: Sequence[LocalBlock],
    stream: Stream,
    target: Target,
    optimizers: Sequence[BlockOptimizer],
    contexts: Sequence[Context],
    *,
    leave_after: int | None = None,
    deep: bool = False,
    micro_batches: int = 1,
    recompute: bool = False,
) -> tuple[Stream, Float[Tensor, ""]]:
    """Minimise the last block's objective over `blocks`; return what is handed on and the loss, both without a graph.

    The stream handed on is computed with the weights from before this update, as in the papers; it is the last block's,
    or that of the first `leave_after` blocks. `deep` adds the objectives of the blocks in between. The batch goes
    through in `micro_batches` pieces whose gradients add up. `recompute` keeps only what enters each block and
    computes it again in the backward pass. The graph does not outlive the call: peak activation memory is one span's.
    """
    pieces, handed_on, losses = _split(detach(stream), target, micro_batches), _Joined(target), []
    for number, (piece, piece_target, share) in enumerate(pieces):
        opened = [partial(context, number) for context in contexts]
        loss, out = _descend(blocks, piece, piece_target, opened, leave_after, deep, recompute, share)
        handed_on.add(out, piece_target)
        losses.append(loss)
        del out  # it has found its place; the next piece needs the room
    for optimizer in optimizers:
        optimizer.step()
    return handed_on.stream, sum(losses[1:], losses[0])


def _descend(
    blocks: Sequence[LocalBlock],
    stream: Stream,
    target: Target,
    contexts: Sequence[Conditions],
    leave_after: int | None,
    deep: bool,
    recompute: bool,
    share: float,
) -> tuple[Float[Tensor, ""], Stream]:
    """Add the gradient of a piece; return its share of the loss, and what it hands on."""
    left, losses = detach(stream) if leave_after == 0 else None, []
    for index, (block, context) in enumerate(zip(blocks[:-1], contexts[:-1], strict=True)):
        compute = partial(_through, block, target if deep else None, context)
        loss, stream = recomputed(block, compute, stream) if recompute else compute(*stream)
        losses += [] if loss is None else [loss * share]
        if leave_after == index + 1:
            left = detach(stream)
    last = blocks[-1]
    x, *skips = stream
    with contexts[-1]():
        activity = last.body(x)
        loss = sum(losses, last.loss(activity, target) * share)
    loss.backward()
    if left is None:
        with torch.no_grad():  # the handoff needs no graph
            left = detach(last.handoff(activity.detach(), *detach(skips)))
    return loss.detach(), left


def _through(
    block: LocalBlock, target: Target | None, context: Conditions, *stream: Tensor
) -> tuple[Tensor | None, Stream]:
    """Return the block's loss, if it has an objective and a target is given, and what it hands on."""
    x, *skips = stream
    with context():
        activity = block.body(x)
        loss = None if target is None or block.objective is None else block.loss(activity, target)
    return loss, block.handoff(activity, *skips)


def _split(stream: Stream, target: Target, count: int) -> Iterator[tuple[Stream, Target, float]]:
    """Cut a batch into at most `count` pieces, each with all views of its images and its share of the batch."""
    if count == 1:
        yield stream, target, 1.0
        return
    images = len(target.label) // target.views
    size = -(-images // count)
    for start in range(0, images, size):

        def cut(rows: Tensor, start: int = start) -> Tensor:
            if target.views == 1:
                return rows[start : start + size]
            return rows.unflatten(0, (target.views, images))[:, start : start + size].flatten(0, 1)

        sign = None if target.sign is None else cut(target.sign)
        piece = Target(cut(target.label), sign, target.views)
        yield tuple(cut(tensor) for tensor in stream), piece, len(piece.label) / len(target.label)


class _Joined:
    """What the pieces of a batch hand on, each written into its place when it comes, so that no map exists twice.

    A tensor that occurs twice in a stream, such as the start of a skip connection, stays one tensor.
    """

    def __init__(self, target: Target):
        self.rows, self.views, self.filled = len(target.label), target.views, 0
        self.stream: Stream = ()

    def add(self, piece: Stream, target: Target) -> None:
        if len(target.label) == self.rows:
            self.stream = piece
            return
        if not self.stream:
            places = {_identity(tensor): _empty(tensor, self.rows) for tensor in piece}
            self.stream = tuple(places[_identity(tensor)] for tensor in piece)
        images = len(target.label) // self.views
        for whole, tensor in zip(self.stream, piece, strict=True):
            place = whole.unflatten(0, (self.views, -1))[:, self.filled : self.filled + images]
            place.copy_(tensor.unflatten(0, (self.views, -1)))
        self.filled += images


def _identity(tensor: Tensor) -> tuple[int, torch.Size, tuple[int, ...]]:
    return tensor.data_ptr(), tensor.shape, tensor.stride()


def _empty(like: Tensor, rows: int) -> Tensor:
    """Return room for `rows` rows in the memory format of a tensor."""
    last = like.ndim == 4 and like.is_contiguous(memory_format=torch.channels_last)
    memory_format = torch.channels_last if last else torch.contiguous_format
    return torch.empty((rows, *like.shape[1:]), dtype=like.dtype, device=like.device, memory_format=memory_format)
