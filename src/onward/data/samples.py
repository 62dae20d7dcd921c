"""Samples: inputs of any shape held in memory, with a target each."""
# N samples, K of them, B samples in a batch, C channels (1 or 3), H W map

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64, Shaped, UInt8
from torch import Tensor

from onward.core import LOST_SHARE, InputForm

Gathered = tuple[Shaped[Tensor, "B ..."], Shaped[Tensor, "B *K"]]
"""Inputs and targets of some samples."""


class Source(ABC):
    """Training samples, numbered from 0, each with a target, in memory or streamed."""

    pixels: Shaped[Tensor, "N ..."]
    """All inputs where they are in memory, images as 0..255; elsewhere asking raises ValueError."""
    labels: Shaped[Tensor, "N *K"]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The shape of every input: of images channels, height and width."""

    @property
    @abstractmethod
    def sample(self) -> "Samples":
        """Samples from which statistics are computed, in place of all."""

    @abstractmethod
    def placed(self, device: torch.device) -> "Source":
        """Return the same samples, on this device if they are in memory."""

    @abstractmethod
    def subset(self, index: Int64[Tensor, "K"]) -> "Samples":
        """Return the samples at these positions, in this order, copied."""

    @abstractmethod
    def order(self, batch_size: int, seed: int) -> list[Int64[Tensor, "B"]]:
        """Return which samples each batch of an epoch takes; a last, partial batch is dropped."""

    @abstractmethod
    def in_order(self, batch_size: int) -> Iterator[Gathered]:
        """Yield all samples, first to last, nothing dropped."""

    @abstractmethod
    def take(self, batches: Sequence[Int64[Tensor, "_"]], own: slice | None = None) -> Iterator[Gathered]:
        """Yield the samples of each batch in turn; with `own`, inputs outside these rows may be anything."""


@dataclass(frozen=True, eq=False)
class Samples(Source):
    """Inputs [N, ...] and a target each: a class index, or numbers [N, K].

    With `weights` a sample is drawn into an epoch weight / mean weight times: twice for a ratio of 2,
    in every second epoch for 1/2. Raises ValueError for lengths that differ, and for no numbers.
    """

    pixels: Shaped[Tensor, "N ..."]
    labels: Shaped[Tensor, "N *K"]
    weights: Float[Tensor, "N"] | None = None

    def __post_init__(self):
        for name, value in (("inputs", self.pixels), ("targets", self.labels)):
            if not isinstance(value, Tensor):
                raise ValueError(f"{name} is a {type(value).__name__}: give a tensor, or all of them to from_arrays")
        if len(self.pixels) != len(self.labels):
            raise ValueError(f"{len(self.pixels)} images but {len(self.labels)} labels: give one label per image")
        if self.pixels.numel() == 0:
            raise ValueError(f"images of shape {tuple(self.pixels.shape)} are empty: give at least one pixel")

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.pixels.shape[1:])

    @property
    def sample(self) -> "Samples":
        return self

    def placed(self, device: torch.device) -> "Samples":
        # Whatever is larger than half of the free device memory stays on the host, where it may be a memory-mapped
        # file.
        if device.type == "cuda" and self.pixels.nbytes > torch.cuda.mem_get_info(device)[0] / 2:
            return self
        return replace(self, pixels=self.pixels.to(device), labels=self.labels.to(device))

    def subset(self, index: Int64[Tensor, "K"]) -> "Samples":
        weights = None if self.weights is None else self.weights[index]
        return replace(self, pixels=self.pixels[index], labels=self.labels[index], weights=weights)

    def order(self, batch_size: int, seed: int) -> list[Int64[Tensor, "B"]]:
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.arange(len(self)) if self.weights is None else _drawn(self.weights, generator)
        shuffled = drawn[torch.randperm(len(self), generator=generator)]
        return list(shuffled.split(batch_size)[: len(self) // batch_size])

    def in_order(self, batch_size: int) -> Iterator[Gathered]:
        return zip(self.pixels.split(batch_size), self.labels.split(batch_size), strict=True)

    def take(self, batches: Sequence[Int64[Tensor, "_"]], own: slice | None = None) -> Iterator[Gathered]:
        for batch in batches:
            rows = batch.to(self.pixels.device)
            yield self.pixels[rows], self.labels[rows]


@dataclass(frozen=True, eq=False)
class Images(Samples):
    """Pixels 0..255 and one class index per image; raises ValueError on a wrong dtype, rank or length."""

    pixels: UInt8[Tensor, "N C H W"]
    labels: Int64[Tensor, "N"]

    def __post_init__(self):
        if self.pixels.dtype != torch.uint8 or self.pixels.ndim != 4:
            given = f"{self.pixels.dtype} of shape {tuple(self.pixels.shape)}"
            raise ValueError(f"pixels must be torch.uint8 [N, C, H, W], not {given}: use from_arrays to convert them")
        if self.labels.dtype != torch.int64 or self.labels.ndim != 1:
            given = f"{self.labels.dtype} of shape {tuple(self.labels.shape)}"
            raise ValueError(f"labels must be torch.int64 [N], not {given}: use from_arrays to convert them")
        super().__post_init__()


def images_of(pixels: Shaped[Tensor, "N C H W"], labels: Int64[Tensor, "N"]) -> Samples:
    """Return images with their classes: `Images` of uint8, `Samples` of floats in [0, 1]."""
    return (Images if pixels.dtype == torch.uint8 else Samples)(pixels, labels)


def narrowed(inputs: Shaped[Tensor, "N ..."]) -> Shaped[Tensor, "N ..."]:
    """Return numbers to learn from as float32; as float64 where that loses differences, as between times in seconds."""
    wide = exact(inputs)
    if wide.dtype == torch.float32:
        return wide
    columns = wide.reshape(len(wide), -1)
    largest, deviation = columns.abs().amax(0), columns.std(0, correction=0)
    scale = torch.where(deviation > 0, deviation, 1.0)  # that of a constant column, which has to become 0
    lost = largest * 2.0**-24 > LOST_SHARE * scale
    return wide if lost.any() or float(largest.max()) > torch.finfo(torch.float32).max else wide.float()


def exact(inputs: Shaped[Tensor, "N ..."]) -> Shaped[Tensor, "N ..."]:
    """Return numbers as float32 if it has all of them, else as float64.

    So a row is the same whatever others are read with it, and one of those that were learned from.
    """
    if inputs.dtype in (torch.float32, torch.int8, torch.uint8, torch.int16, torch.bool, torch.float16, torch.bfloat16):
        return inputs.float()
    wide = inputs.double()
    return wide.float() if torch.equal(wide.float().double(), wide) else wide


def as_read(inputs: Shaped[Tensor, "N ..."], form: InputForm) -> Shaped[Tensor, "N ..."]:
    """Return inputs to evaluate: token ids and 8-bit images as they are, images in [0, 1] as float32, others exact."""
    if form.kind == "tokens" or (form.unit and inputs.dtype == torch.uint8):
        return inputs
    return inputs.float() if form.unit else exact(inputs)


def _drawn(weights: Float[Tensor, "N"], generator: torch.Generator) -> Int64[Tensor, "N"]:
    """Draw as many samples as there are by their weights, evenly: each as often as expected, within one."""
    ends = (weights.double() / weights.double().sum() * len(weights)).cumsum(0)
    start = torch.rand((), dtype=torch.float64, generator=generator)
    quantiles = torch.arange(len(weights), dtype=torch.float64) + start
    return torch.searchsorted(ends, quantiles, right=True).clamp_max(len(weights) - 1)
