"""Micro-batches: a batch that goes through the network in pieces, so that only one piece's graph exists at a time."""
# V views of an image, B images

from collections.abc import Iterable
from typing import NamedTuple

from torch import Tensor

from onward.core.block import LocalBlock, detach
from onward.core.slots import IGNORED, Stream, Target


class Piece(NamedTuple):
    """A micro-batch: the stream that enters a block, the target of the objective, and its share of the batch."""

    stream: Stream
    target: Target
    share: float


def split(stream: Stream, target: Target, count: int) -> list[Piece]:
    """Cut a batch into at most `count` pieces without a graph, each with all views of its images."""
    stream = detach(stream)
    if count == 1:
        return [Piece(stream, target, 1.0)]
    images = len(target.label) // target.views
    size = -(-images // count)
    return [_piece(stream, target, slice(start, start + size)) for start in range(0, images, size)]


def compared(blocks: Iterable[LocalBlock]) -> list[str]:
    """Name the parts of blocks whose loss compares the images of a batch; in micro-batches, those of a piece alone."""
    parts = (part for block in blocks for part in (block.objective, block.auxiliary) if part is not None)
    return sorted({type(part).__name__ for part in parts if part.couples_samples})


def _piece(stream: Stream, target: Target, images: slice) -> Piece:
    def cut(rows: Tensor) -> Tensor:
        if target.views == 1:
            return rows[images]
        return rows.unflatten(0, (target.views, -1))[:, images].flatten(0, 1)

    sign = None if target.sign is None else cut(target.sign)
    part = Target(cut(target.label), sign, target.views, made={})
    return Piece(tuple(cut(tensor) for tensor in stream), part, _share(part.label, target.label))


def _share(part: Tensor, whole: Tensor) -> float:
    """Return the share of a batch's loss terms that belongs to `part` of its labels.

    A batch without any is shared by its rows, so that the objective refuses it as it does in one piece.
    """
    total = _terms(whole)
    return _terms(part) / total if total else len(part) / len(whole)


def _terms(label: Tensor) -> int:
    """Return the number of rows, or of positions that have a label: not `IGNORED`, no NaN."""
    if label.is_floating_point():
        return int((~label.isnan().any(dim=-1)).sum()) if label.ndim > 2 else len(label)
    return int((label != IGNORED).sum()) if label.ndim > 1 else len(label)
