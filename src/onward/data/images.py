"""Image sets: uint8 pixels, integer labels and the three splits of a run."""
# N images, K of them, B images in a batch, C channels (1 or 3), H W map

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

# Below one grey level a channel is constant; dividing by its std would blow rounding up into signal.
SMALLEST_STD = 1 / 255


Gathered = tuple[UInt8[Tensor, "B C H W"], Int64[Tensor, "B"]]
"""Pixels and class indices of some images."""


class Source(ABC):
    """Images that can be trained on: numbered from 0, each with a class index, in memory or streamed."""

    pixels: UInt8[Tensor, "N C H W"]
    """All of them, 0..255, where they are in memory; elsewhere asking raises ValueError."""
    labels: Int64[Tensor, "N"]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of every image."""

    @property
    @abstractmethod
    def sample(self) -> "Images":
        """Images that stand for all of them where statistics are taken."""

    @abstractmethod
    def placed(self, device: torch.device) -> "Source":
        """Return the same images, on this device as far as that helps."""

    @abstractmethod
    def subset(self, index: Int64[Tensor, "K"]) -> "Images":
        """Return the images at these positions, in this order, copied."""

    @abstractmethod
    def order(self, batch_size: int, seed: int) -> list[Int64[Tensor, "B"]]:
        """Return which images each batch of an epoch takes; a last, partial batch is dropped."""

    @abstractmethod
    def in_order(self, batch_size: int) -> Iterator[Gathered]:
        """Yield all images, first to last, nothing dropped."""

    @abstractmethod
    def take(self, batches: Sequence[Int64[Tensor, "_"]], own: slice | None = None) -> Iterator[Gathered]:
        """Yield the images of each batch in turn; with `own`, pixels outside these rows may be anything."""


@dataclass(frozen=True, eq=False)
class Images(Source):
    """Pixels 0..255 and one class index per image; raises ValueError on a wrong dtype, rank or length."""

    pixels: UInt8[Tensor, "N C H W"]
    labels: Int64[Tensor, "N"]

    def __post_init__(self):
        if self.pixels.dtype != torch.uint8 or self.pixels.ndim != 4:
            found = f"{self.pixels.dtype} of shape {tuple(self.pixels.shape)}"
            raise ValueError(f"pixels must be torch.uint8 [N, C, H, W], not {found}: use from_arrays to convert them")
        if self.labels.dtype != torch.int64 or self.labels.ndim != 1:
            found = f"{self.labels.dtype} of shape {tuple(self.labels.shape)}"
            raise ValueError(f"labels must be torch.int64 [N], not {found}: use from_arrays to convert them")
        if len(self.pixels) != len(self.labels):
            raise ValueError(f"{len(self.pixels)} images but {len(self.labels)} labels: give one label per image")
        if self.pixels.numel() == 0:
            raise ValueError(f"images of shape {tuple(self.pixels.shape)} are empty: give at least one pixel")

    @property
    def shape(self) -> tuple[int, int, int]:
        _, channels, height, width = self.pixels.shape
        return channels, height, width

    @property
    def sample(self) -> "Images":
        return self

    def placed(self, device: torch.device) -> "Images":
        # Whatever is larger than half of the free device memory stays on the host, where it may be a memory-mapped
        # file.
        if device.type == "cuda" and self.pixels.nbytes > torch.cuda.mem_get_info(device)[0] / 2:
            return self
        return Images(self.pixels.to(device), self.labels.to(device))

    def subset(self, index: Int64[Tensor, "K"]) -> "Images":
        return Images(self.pixels[index], self.labels[index])

    def order(self, batch_size: int, seed: int) -> list[Int64[Tensor, "B"]]:
        shuffled = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        return list(shuffled.split(batch_size)[: len(self) // batch_size])

    def in_order(self, batch_size: int) -> Iterator[Gathered]:
        return zip(self.pixels.split(batch_size), self.labels.split(batch_size), strict=True)

    def take(self, batches: Sequence[Int64[Tensor, "_"]], own: slice | None = None) -> Iterator[Gathered]:
        for batch in batches:
            rows = batch.to(self.pixels.device)
            yield self.pixels[rows], self.labels[rows]


@dataclass(frozen=True, eq=False)
class Decoded:
    """A source as read: what can be learned from (validation still inside), what is tested on, the class names."""

    train: Images
    test: Images
    class_names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Splits:
    """Train, validation and test images of one run; raises ValueError when they do not fit each other."""

    name: str
    train: Source
    validation: Images
    test: Images
    class_names: tuple[str, ...]
    checksum: str
    note: str = ""

    def __post_init__(self):
        if self.num_classes < 2:
            raise ValueError(f"{self.name} has only the classes {self.class_names}: a classifier needs two or more")
        for name in self.class_names:
            if any("\ud800" <= letter <= "\udfff" for letter in name):  # no file of a run could hold it
                raise ValueError(f"the class name {name!r} is not text: give the class, or its folder, another name")
        for split, images in (("validation", self.validation), ("test", self.test)):
            if images.shape != self.shape:
                raise ValueError(
                    f"{split} images are {images.shape} but training images {self.shape}: bring them to one size"
                )
        for split, images in (("train", self.train), ("validation", self.validation), ("test", self.test)):
            low, high = images.labels.aminmax()
            if low < 0 or high >= self.num_classes:
                wrong = int(low) if low < 0 else int(high)
                raise ValueError(f"{split} holds label {wrong}: labels must be 0..{self.num_classes - 1}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of every image."""
        return self.train.shape

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def channel_statistics(self) -> tuple[Float[Tensor, "C"], Float[Tensor, "C"]]:
        """Mean and standard deviation of each channel over the training split (of a stream: its sample), in [0, 1]."""
        levels, pixels = torch.linspace(0, 1, 256, dtype=torch.float64), self.train.sample.pixels
        share = _histogram(pixels) / (pixels.numel() / self.shape[0])
        mean = share @ levels
        variance = (share * (levels - mean[:, None]).square()).sum(1)
        return mean.float(), variance.sqrt().clamp_min(SMALLEST_STD).float()


def checksum(*splits: Images) -> str:
    """SHA-256 (hex) over shape, pixels and little-endian labels of each: train (validation included), then test."""
    digest = hashlib.sha256()
    for images in splits:
        digest.update(repr(tuple(images.pixels.shape)).encode())
        digest.update(images.pixels.cpu().contiguous().numpy().data)
        digest.update(images.labels.cpu().contiguous().numpy().astype("<i8").data)
    return digest.hexdigest()


def _histogram(pixels: UInt8[Tensor, "N C H W"]) -> Float[Tensor, "C 256"]:
    # Counting grey levels is exact whatever the number of images, and chunks keep a memory-mapped set out of memory.
    counts = torch.zeros(pixels.shape[1], 256, dtype=torch.float64)
    for chunk in pixels.split(4096):
        for channel, plane in enumerate(chunk.unbind(1)):
            counts[channel] += plane.flatten().bincount(minlength=256).cpu()
    return counts
