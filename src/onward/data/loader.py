"""Batches for training and for evaluation, decided by seeds alone, from pixels that stay on the device."""
# N images, B images in a batch, C channels, H W map

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from onward.core import derive_seed

from .augment import PLAIN, Augment, Augmentation
from .images import Images

Batch = tuple[Float[Tensor, "B C H W"], Int64[Tensor, "B"]]


class TrainLoader:
    """Shuffled, augmented batches on `device`: x float32 in [0, 1], y int64; raises ValueError on a batch_size < 1.

    The order of an epoch is decided by (seed, epoch) and the augmentation of a batch by (seed, epoch, batch), so a
    run can resume anywhere and see the same bits.
    """

    def __init__(
        self,
        images: Images,
        *,
        batch_size: int,
        device: torch.device | str,
        augmentation: Augmentation = PLAIN,
        seed: int = 0,
    ):
        self.device = torch.device(device)
        self.pixels, self.labels = _place(images, self.device)
        self.batch_size = min(_positive(batch_size), len(images))
        self.seed = seed
        _, *shape = images.pixels.shape
        self.augment = Augment(augmentation, (shape[0], shape[1], shape[2])) if augmentation.enabled else None
        self.mirrored_in = self._draw_parities() if augmentation.alternate_flip else None

    def __len__(self) -> int:
        """Steps per epoch; a last, partial batch is dropped, a set smaller than one batch is one step."""
        return len(self.labels) // self.batch_size

    def epoch(self, index: int, *, start: int = 0) -> Iterator[Batch]:
        """The batches of epoch `index` from batch `start` on, the earlier ones neither gathered nor augmented."""
        if not 0 <= start <= len(self):
            raise ValueError(f"start {start} is not a batch of this epoch: choose 0..{len(self)}")
        return self._batches(index, start)

    def order(self, index: int) -> list[Int64[Tensor, "B"]]:
        """Which images each batch of epoch `index` takes."""
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "order", index))
        shuffled = torch.randperm(len(self.labels), generator=generator)
        return list(shuffled.split(self.batch_size)[: len(self)])

    def _draw_parities(self) -> Int64[Tensor, "N"]:
        """Draw for each image whether it is mirrored in even or in odd epochs (Jordan 2024, alternating flip)."""
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "mirror"))
        return torch.randint(2, (len(self.labels),), generator=generator).to(self.pixels.device)

    def _batches(self, index: int, start: int) -> Iterator[Batch]:
        for batch, chosen in enumerate(self.order(index)[start:], start):
            rows = chosen.to(self.pixels.device)
            pixels = self.pixels[rows]
            if self.mirrored_in is not None:
                mirrored = self.mirrored_in[rows] == index % 2
                pixels = torch.where(mirrored.view(-1, 1, 1, 1), pixels.flip(-1), pixels)
            x, y = _deliver(pixels, self.labels[rows], self.device)
            if self.augment is not None:
                x = self.augment(x, derive_seed(self.seed, "augmentation", index, batch))
            yield x, y


def batches(images: Images, *, batch_size: int, device: torch.device | str) -> Iterator[Batch]:
    """The whole set in order, nothing dropped and nothing augmented; raises ValueError on a batch_size < 1."""
    return _in_order(images, _positive(batch_size), torch.device(device))


def _in_order(images: Images, batch_size: int, device: torch.device) -> Iterator[Batch]:
    for pixels, labels in zip(images.pixels.split(batch_size), images.labels.split(batch_size), strict=True):
        yield _deliver(pixels, labels, device)


def _place(images: Images, device: torch.device) -> tuple[UInt8[Tensor, "N C H W"], Int64[Tensor, "N"]]:
    # Whatever is larger than half of the free device memory stays on the host, where it may be a memory-mapped file.
    if device.type == "cuda" and images.pixels.nbytes > torch.cuda.mem_get_info(device)[0] / 2:
        return images.pixels, images.labels
    return images.pixels.to(device), images.labels.to(device)


def _deliver(pixels: UInt8[Tensor, "B C H W"], labels: Int64[Tensor, "B"], device: torch.device) -> Batch:
    if pixels.device.type == "cpu" and device.type == "cuda":
        # Only a copy from pinned memory can overlap with computation.
        pixels, labels = pixels.pin_memory(), labels.pin_memory()
    x = pixels.to(device, non_blocking=True).to(torch.float32).div_(255)
    return x, labels.to(device, non_blocking=True)


def _positive(batch_size: int) -> int:
    if batch_size < 1:
        raise ValueError(f"batch_size {batch_size} must be 1 or more")
    return batch_size
