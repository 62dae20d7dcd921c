"""Batches for training and for evaluation, decided by seeds alone, from pixels in memory or from a stream."""
# N images, B images in a batch, C channels, H W map

from collections.abc import Iterator
from itertools import islice

import torch
from jaxtyping import Int64, Shaped
from torch import Tensor

from onward.core import derive_seed

from .augment import PLAIN, Augment, Augmentation
from .loaded import Loaded
from .samples import Source

Batch = tuple[Shaped[Tensor, "B ..."], Shaped[Tensor, "B *K"]]
"""Inputs and targets: images as floats, in [0, 1] if they were uint8; other numbers as they are."""


class TrainLoader:
    """Shuffled, augmented batches on `device`: x float32, of images in [0, 1], y int64, or numbers to predict.

    Raises ValueError on a batch_size < 1.

    The order of an epoch is decided by (seed, epoch) and the augmentation of a batch by (seed, epoch, batch), so a
    run can resume anywhere and see the same bits. Where only the rows `own` of every batch are looked at, a stream
    decodes no others; labels and random draws are those of the whole batch all the same.
    """

    def __init__(
        self,
        images: Source,
        *,
        batch_size: int,
        device: torch.device | str,
        augmentation: Augmentation = PLAIN,
        seed: int = 0,
        own: slice | None = None,
    ):
        self.device = torch.device(device)
        self.images = images.placed(self.device)
        self.batch_size = min(_positive(batch_size), len(images))
        if isinstance(images, Loaded):
            self.batch_size = max(images.sizes)
        self.seed, self.own = seed, own
        self.augment = Augment(augmentation, images.shape) if augmentation.enabled else None
        self.mirrored_in = self._draw_parities() if augmentation.alternate_flip else None

    def __len__(self) -> int:
        """Steps per epoch; a last, partial batch is dropped, a set smaller than one batch is one step."""
        return len(self.images.sizes) if isinstance(self.images, Loaded) else len(self.images) // self.batch_size

    def epoch(self, index: int, *, start: int = 0) -> Iterator[Batch]:
        """The batches of epoch `index` from batch `start` on, the earlier ones neither gathered nor augmented."""
        if not 0 <= start <= len(self):
            raise ValueError(f"start {start} is not a batch of this epoch: choose 0..{len(self)}")
        if isinstance(self.images, Loaded):
            return self._loaded(self.images, index, start)
        return self._batches(index, start)

    def order(self, index: int) -> list[Int64[Tensor, "B"]]:
        """Which images each batch of epoch `index` takes."""
        return self.images.order(self.batch_size, derive_seed(self.seed, "order", index))

    def _draw_parities(self) -> Int64[Tensor, "N"]:
        """Draw for each image whether it is mirrored in even or in odd epochs (Jordan 2024, alternating flip)."""
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "mirror"))
        return torch.randint(2, (len(self.images),), generator=generator)

    def _batches(self, index: int, start: int) -> Iterator[Batch]:
        chosen = self.order(index)[start:]
        taken = zip(chosen, self.images.take(chosen, self.own), strict=True)
        for batch, (rows, (pixels, labels)) in enumerate(taken, start):
            if self.mirrored_in is not None:
                mirrored = (self.mirrored_in[rows] == index % 2).to(pixels.device)
                pixels = torch.where(mirrored.view(-1, 1, 1, 1), pixels.flip(-1), pixels)
            x, y = _deliver(pixels, labels, self.device)
            if self.augment is not None:
                x = self.augment(x, derive_seed(self.seed, "augmentation", index, batch))
            yield x, y

    def _loaded(self, images: Loaded, index: int, start: int) -> Iterator[Batch]:
        """Yield what the user's own loader does, as many batches as in its first epoch."""
        chunks = images.epoch(derive_seed(self.seed, "order", index))
        for batch, (inputs, labels) in enumerate(islice(chunks, start, len(self)), start):
            x, y = _deliver(inputs, labels, self.device)
            if self.augment is not None:
                x = self.augment(x, derive_seed(self.seed, "augmentation", index, batch))
            yield x, y


def batches(images: Source, *, batch_size: int, device: torch.device | str) -> Iterator[Batch]:
    """The whole set in order, nothing dropped and nothing augmented; raises ValueError on a batch_size < 1."""
    return _in_order(images, _positive(batch_size), torch.device(device))


def _in_order(images: Source, batch_size: int, device: torch.device) -> Iterator[Batch]:
    for pixels, labels in images.in_order(batch_size):
        yield _deliver(pixels, labels, device)


def as_floats(inputs: Shaped[Tensor, "B ..."]) -> Shaped[Tensor, "B ..."]:
    """Return levels 0..255 as float32 in [0, 1]; numbers and token ids as they are."""
    return inputs.to(torch.float32).div_(255) if inputs.dtype == torch.uint8 else inputs


def _deliver(pixels: Shaped[Tensor, "B ..."], labels: Shaped[Tensor, "B *K"], device: torch.device) -> Batch:
    if pixels.device.type == "cpu" and device.type == "cuda":
        # Only a copy from pinned memory can overlap with computation.
        pixels, labels = pixels.pin_memory(), labels.pin_memory()
    return as_floats(pixels.to(device, non_blocking=True)), labels.to(device, non_blocking=True)


def _positive(batch_size: int) -> int:
    if batch_size < 1:
        raise ValueError(f"batch_size {batch_size} must be 1 or more")
    return batch_size
