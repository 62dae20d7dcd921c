"""Evidence from a learner: its scores and handed-on activities for a batch, each computed on first use."""
# B batch, C classes, L blocks that have a goodness

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from onward.core.block import LocalBlock
from onward.core.slots import Evidence, Stream, Supervision

T = TypeVar("T")


@runtime_checkable
class Observed(Protocol):
    """The parts of a learner that evidence needs."""

    prepare: nn.Module
    supervision: Supervision

    @property
    def num_heads(self) -> int: ...

    def run_blocks(self, stream: Stream) -> Iterator[tuple[LocalBlock, Tensor, Stream]]: ...

    def readings(self, stream: Stream, read: Callable[[LocalBlock, Tensor], T]) -> Iterator[tuple[T, Tensor]]: ...


class ObservedEvidence(Evidence):
    """The evidence of a learner about a batch of images; each part is computed once, on first use."""

    def __init__(self, learner: Observed, images: Tensor):
        self.learner = learner
        self.heads = learner.num_heads
        self.images = images
        self.x = learner.prepare(images)

    @cached_property
    def block_scores(self) -> Float[Tensor, "L B C"]:
        """The scores of every block that has a goodness: read per class, or collected by trying every label."""
        views = [self._goodness(stream) for stream in self.learner.supervision.test_views(self.x)]
        if not views:
            return torch.zeros(0, len(self.x), 0, device=self.x.device)
        return torch.stack(views, dim=-1) if self.learner.supervision.signed else views[0]

    @cached_property
    def handed_on(self) -> list[Float[Tensor, "B ..."]]:
        """The tensor that each block hands to the next, on a neutral view of the batch."""
        return [stream[0] for _, _, stream in self.learner.run_blocks(self.learner.supervision.neutral_view(self.x))]

    @cached_property
    def mirrored(self) -> Evidence:
        """The evidence about the same images, mirrored left and right. Raises ValueError for other inputs."""
        if self.images.ndim != 4:
            raise ValueError("only images have a mirror image: this method cannot be trained on other inputs")
        return ObservedEvidence(self.learner, self.images.flip(-1))

    def shifted(self, down: int, right: int) -> Evidence:
        """The evidence about the same images, moved by some pixels. Raises ValueError for other or smaller inputs."""
        if self.images.ndim != 4:
            raise ValueError("only images can be shifted: this method cannot read other inputs so")
        height, width = self.images.shape[-2:]
        if abs(down) >= height or abs(right) >= width:
            pixels = max(abs(down), abs(right))
            problem = f"images of {width}x{height} pixels cannot be shifted by {pixels}"
            raise ValueError(f"{problem}: choose at most {min(height, width) - 1}")
        return ObservedEvidence(self.learner, _moved(_moved(self.images, down, dim=-2), right, dim=-1))

    def _maps(self) -> Iterable[Float[Tensor, "B ..."]]:
        """Yield whole maps block by block, so that those of all blocks are never in memory at once."""
        if "handed_on" in self.__dict__:
            return self.handed_on
        view = self.learner.supervision.neutral_view(self.x)
        return (handed_on for _, handed_on in self.learner.readings(view, lambda *_: None))

    def _goodness(self, stream: Stream) -> Float[Tensor, "L B *C"]:
        read = self.learner.readings(stream, _goodness_of)
        return torch.stack([goodness for goodness, _ in read if goodness is not None])


def _moved(images: Tensor, pixels: int, *, dim: int) -> Tensor:
    """Move images along a dimension. Bytes too, which `pad` does not reflect everywhere."""
    size = images.shape[dim]
    if pixels > 0:
        return torch.cat([images.narrow(dim, 1, pixels).flip(dim), images.narrow(dim, 0, size - pixels)], dim)
    if pixels < 0:
        kept, last = images.narrow(dim, -pixels, size + pixels), images.narrow(dim, size - 1 + pixels, -pixels)
        return torch.cat([kept, last.flip(dim)], dim)
    return images


def _goodness_of(block: LocalBlock, activity: Float[Tensor, "B ..."]) -> Float[Tensor, "B *C"] | None:
    return None if block.goodness is None else block.goodness(activity).float()
