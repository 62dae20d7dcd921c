"""The label as a pattern over the whole image, for networks with small receptive fields."""
# B batch, C classes, H W map

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from onward.core import Count, NonNegative, Stream, Supervision, Target
from onward.parts.supervision.labels import check_wrong_labels, draw_wrong_labels, signed_target


@dataclass(frozen=True)
class LabelPattern(Supervision):
    """The label is added to every channel of the image as a plane wave, one direction and wavelength per class.

    A convolution can read the label at every position. Patterns over the whole image: Scodellaro et al. 2025 (arXiv
    2312.14924). Differs: the waves; their vectors cover the half disc of frequencies up to 0.45 per pixel evenly (a
    sunflower spiral). A neutral view carries the mean of all waves. Views are ordered as by `LabelInInput`. Raises
    ValueError if there are not that many wrong labels, and for images that have no map.
    """

    signed: ClassVar[bool] = True
    mixes_images: ClassVar[bool] = False

    num_classes: Count
    wrong_labels: Count = 1
    """Contrastive views of each image, all with different labels."""
    strength: NonNegative = 0.5
    """Amplitude of the wave, in the unit of the pixels."""

    def __post_init__(self):
        super().__post_init__()
        check_wrong_labels(self.wrong_labels, self.num_classes)

    def train_view(
        self, x: Float[Tensor, "B ..."], y: Int64[Tensor, "B"], generator: torch.Generator
    ) -> tuple[Stream, Target]:
        labels = torch.cat([y, draw_wrong_labels(y, self.num_classes, self.wrong_labels, generator).flatten()])
        waves = self.waves(x)
        views = torch.cat([x + waves[part] for part in labels.split(len(y))])
        return (views,), signed_target(labels, self.wrong_labels + 1)

    def test_views(self, x: Float[Tensor, "B ..."]) -> Iterator[Stream]:
        for wave in self.waves(x):
            yield (x + wave,)

    def neutral_view(self, x: Float[Tensor, "B ..."]) -> Stream:
        return (x + self.waves(x).mean(dim=0),)

    def waves(self, x: Float[Tensor, "B ..."]) -> Float[Tensor, "C 1 H W"]:
        """Return the wave of every class, for images like these."""
        if x.ndim != 4:
            raise ValueError(f"a label pattern needs images [B, channels, H, W], got shape {tuple(x.shape)}")
        number = torch.arange(self.num_classes, device=x.device, dtype=x.dtype)
        angle = math.pi * (number * (math.sqrt(5) - 1) / 2 % 1)
        frequency = 0.45 * ((number + 0.5) / self.num_classes).sqrt()
        rows, columns = (torch.arange(size, device=x.device, dtype=x.dtype) for size in x.shape[2:])
        across = (frequency * angle.cos())[:, None, None] * columns
        down = (frequency * angle.sin())[:, None, None] * rows[:, None]
        return self.strength * (2 * math.pi * (across + down)).cos()[:, None]
