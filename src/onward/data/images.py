"""The three splits of a run: images, tables, windows, tokens or arrays of any shape, with their form and class
names."""
# N samples, C channels or columns, K numbers of a target, H W map

import hashlib
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from onward.core import InputForm, Task
from onward.core.ranges import LARGEST

from .samples import Samples, Source

# Below one gray level a channel is constant; dividing by its std would blow rounding up into signal.
SMALLEST_STD = 1 / 255


@dataclass(frozen=True, eq=False)
class Decoded:
    """A source as read: training samples, test samples, and class names."""

    train: Samples
    test: Samples
    class_names: tuple[str, ...]
    validation: Samples | None = None
    """The source's own validation split; None: it is carved from the training samples."""


@dataclass(frozen=True, eq=False)
class Splits:
    """Train, validation and test samples of one run; raises ValueError when they do not fit each other.

    `form` is that of the inputs: images with values in [0, 1] by default. `task` is one class of each sample, with
    `class_names`; or numbers, or several labels, with a name for each.
    """

    name: str
    train: Source
    validation: Samples
    test: Samples
    class_names: tuple[str, ...]
    checksum: str
    note: str = ""
    form: InputForm | None = None
    task: Task = "classes"

    def __post_init__(self):
        if self.form is None:
            object.__setattr__(self, "form", InputForm("images", self.train.shape, True))
        if self.task == "classes" and self.num_classes < 2:
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
            if self.task != "classes":
                continue
            low, high = images.labels.aminmax()
            if low < 0 or high >= self.num_classes:
                wrong = int(low) if low < 0 else int(high)
                raise ValueError(f"{split} holds label {wrong}: labels must be 0..{self.num_classes - 1}")

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of every input: of images channels, height and width."""
        return self.train.shape

    @property
    def inputs(self) -> InputForm:
        """The form of the inputs."""
        assert self.form is not None
        return self.form

    @property
    def num_classes(self) -> int:
        """Number of classes, or of numbers or labels of each sample."""
        return len(self.class_names)

    def channel_statistics(self) -> tuple[Float[Tensor, "C"], Float[Tensor, "C"]]:
        """Mean and standard deviation of each channel, or column of a table, over the training split.

        Of a stream over its sample. Of uint8 images in [0, 1]. A channel that is constant has a deviation of 1.
        """
        if self.train.sample.pixels.dtype != torch.uint8:
            mean, deviation = _moments(self.train.sample.pixels, self.inputs.noun)
            return mean, deviation
        levels, pixels = torch.linspace(0, 1, 256, dtype=torch.float64), self.train.sample.pixels
        share = _histogram(pixels) / (pixels.numel() / self.shape[0])
        mean = share @ levels
        variance = (share * (levels - mean[:, None]).square()).sum(1)
        return mean.float(), variance.sqrt().clamp_min(SMALLEST_STD).float()

    def channel_range(self) -> tuple[Float[Tensor, "C"], Float[Tensor, "C"]]:
        """Smallest value of each channel, or column of a table, over the training split, and its range."""
        channels = _channels(self.train.sample.pixels)
        low, high = channels.amin(0), channels.amax(0)
        return low, torch.where(high > low, high - low, 1.0)

    def target_statistics(self) -> tuple[Float64[Tensor, "K"], Float64[Tensor, "K"]]:
        """Mean and standard deviation of each number to predict, over the training split; 1 where it is constant."""
        mean, deviation = _moments(self.train.labels, "numbers to predict")
        return mean, deviation


def checksum(*splits: Samples) -> str:
    """SHA-256 (hex) over shape, pixels and little-endian labels of each: train (validation included), then test."""
    digest = hashlib.sha256()
    for images in splits:
        digest.update(repr(tuple(images.pixels.shape)).encode())
        digest.update(images.pixels.cpu().contiguous().numpy().data)
        labels = images.labels.cpu().contiguous().numpy()
        digest.update(labels.astype("<f8" if labels.dtype.kind == "f" else "<i8").data)
    return digest.hexdigest()


def _channels(inputs: Tensor) -> Float64[Tensor, "M C"]:
    """Return the values of each channel, which is the second dimension."""
    return inputs.double().movedim(1, -1).reshape(-1, inputs.shape[1])


def _moments(inputs: Tensor, what: str) -> tuple[Float64[Tensor, "C"], Float64[Tensor, "C"]]:
    """Return mean and standard deviation of each channel. Raises ValueError for numbers beyond 32 bits."""
    parts = inputs.split(4096)  # in double precision, all of them at once might not fit into memory
    count = inputs.numel() // inputs.shape[1]
    largest = torch.stack([_channels(part).abs().amax(0) for part in parts]).amax(0)
    if float(largest.max()) > LARGEST:
        raise ValueError(
            f"{what} reach to {float(largest.max()):g} in column {int(largest.argmax())}, which 32 bits cannot hold: "
            "give them in a larger unit, or their logarithms"
        )
    mean = torch.stack([_channels(part).sum(0) for part in parts]).sum(0) / count
    variance = torch.stack([(_channels(part) - mean).square().sum(0) for part in parts]).sum(0) / count
    # Below the rounding of the numbers themselves a channel is constant.
    constant = variance.sqrt() <= (1e-13 if inputs.dtype == torch.float64 else 1e-7) * largest
    mean = torch.where(constant, _channels(inputs[:1])[0], mean)  # the very number, which a sum has rounded
    return mean, torch.where(constant, 1.0, variance.sqrt())


def _histogram(pixels: UInt8[Tensor, "N C H W"]) -> Float[Tensor, "C 256"]:
    # Counting gray levels is exact whatever the number of images, and chunks keep a memory-mapped set out of memory.
    counts = torch.zeros(pixels.shape[1], 256, dtype=torch.float64)
    for chunk in pixels.split(4096):
        for channel, plane in enumerate(chunk.unbind(1)):
            counts[channel] += plane.flatten().bincount(minlength=256).cpu()
    return counts
