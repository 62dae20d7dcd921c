"""Random changes to a batch of training images, on the device the batch is on."""
# B images in the batch, C channels (1 or 3), H W map

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from onward.core import Range, Share, check_fields, seeded

Pixels = Annotated[int, Range(0, 2**16)]
Degrees = Annotated[float, Range(0, 180)]
Padding = Literal["zeros", "reflect"]


@dataclass(frozen=True)
class Augmentation:
    """Random changes to training images; everything is off by default. Raises ValueError on values out of range."""

    crop: Pixels = 0
    """Pad by this many pixels and crop back at random; 0 = off."""
    padding: Padding = "zeros"
    """Padding of a crop outside of the image."""
    flip: bool = False
    """Mirror left and right with probability one half."""
    alternate_flip: bool = False
    """Mirror each image in every other epoch; chance decides which epochs."""
    rotation: Degrees = 0.0
    """Largest angle in degrees by which an image is turned about its center, either way; what comes in is zero."""
    resized_crop: Share = 0.0
    """Smallest share of the area that a random crop, scaled back to full size, may keep; 0 = off."""
    color_jitter: Share = 0.0
    """Strength of brightness, contrast and saturation changes, 0 to 1; hue changes by a quarter of it."""
    grayscale: Share = 0.0
    """Probability of removing the colors."""
    cutout: Pixels = 0
    """Side in pixels of a random square that is set to zero; 0 = off."""

    def __post_init__(self):
        check_fields(self)
        if self.flip and self.alternate_flip:
            raise ValueError("flip and alternate_flip exclude each other: choose one way to mirror")

    @property
    def enabled(self) -> bool:
        """Whether any change is switched on."""
        return self != PLAIN


PLAIN = Augmentation()


class Augment:
    """The settings made ready for images of one shape (C, H, W); raises ValueError when they do not suit it."""

    def __init__(self, settings: Augmentation, shape: tuple[int, ...]):
        if len(shape) != 3:
            raise ValueError(f"augmentation changes images, not inputs of shape {list(shape)}: leave it out")
        channels, height, width = shape
        side = min(height, width)
        for name in ("crop", "cutout"):
            if getattr(settings, name) >= side:
                wrong = f"{name} {getattr(settings, name)} can hide a whole image of {width}x{height} pixels"
                raise ValueError(f"{wrong}: choose at most {side - 1}")
        for name in ("color_jitter", "grayscale"):
            if getattr(settings, name) and channels != 3:
                problem = f"images have {channels} channel: set it to 0"
                raise ValueError(f"{name} {getattr(settings, name)} needs RGB but {problem}")
        self.settings = settings
        self.shape = shape
        self.steps = _steps(settings, (height, width))

    @torch.no_grad()
    def __call__(self, x: Float[Tensor, "B C H W"], seed: int) -> Float[Tensor, "B C H W"]:
        """A changed copy of `x` (values in [0, 1]): every image drawn on its own, all of it decided by (x, seed)."""
        if tuple(x.shape[1:]) != self.shape:
            raise ValueError(f"images of shape {tuple(x.shape[1:])} but the augmentation was made for {self.shape}")
        with seeded(seed, x.device):
            for step in self.steps:
                x = step(x)
        return x


def _steps(settings: Augmentation, size: tuple[int, int]) -> tuple[Callable[[Tensor], Tensor], ...]:
    # kornia takes most of a second to import: it is imported only for augmentation.
    import kornia.augmentation as kornia

    steps: list[Callable[[Tensor], Tensor]] = []
    if settings.resized_crop:
        # "resample" warps the whole batch at once; the default resizes one image after the other.
        scale = (settings.resized_crop, 1.0)
        steps.append(kornia.RandomResizedCrop(size, scale=scale, cropping_mode="resample"))
    if settings.rotation:
        steps.append(kornia.RandomRotation(settings.rotation, p=1.0))
    if settings.crop:
        mode = {"zeros": "constant", "reflect": "reflect"}[settings.padding]
        steps.append(kornia.RandomCrop(size, padding=settings.crop, padding_mode=mode))
    if settings.flip:
        steps.append(kornia.RandomHorizontalFlip(p=0.5))
    if settings.color_jitter:
        strength = settings.color_jitter
        steps.append(kornia.ColorJitter(strength, strength, strength, strength / 4, p=1.0))
    if settings.grayscale:
        steps.append(kornia.RandomGrayscale(p=settings.grayscale))
    if settings.cutout:
        steps.append(_Cutout(settings.cutout))
    return tuple(steps)


@dataclass(frozen=True)
class _Cutout:
    """Zeros in one square of exactly `side` pixels per image, anywhere inside it.

    kornia's RandomErasing asks for a share of the area and rounds it: 7 pixels of 28 may come out as 6.
    """

    side: int

    def __call__(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        erased = self._band(len(x), x.shape[2], x.device)[:, None, :, None]
        erased = erased & self._band(len(x), x.shape[3], x.device)[:, None, None, :]
        return x.masked_fill(erased, 0)

    def _band(self, count: int, length: int, device: torch.device) -> Tensor:
        # Drawn on the CPU, as kornia does, so that a GPU sees the same squares.
        start = torch.randint(length - self.side + 1, (count, 1)).to(device)
        position = torch.arange(length, device=device)
        return (position >= start) & (position < start + self.side)
