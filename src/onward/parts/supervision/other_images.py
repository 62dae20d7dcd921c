"""Contrastive views made from other images, without labels."""
# B batch, N views of all images (real, then contrastive), H W map

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from onward.core import Range, Stream, Supervision, Target
from onward.parts.handoff.norms import UnitLength
from onward.parts.supervision.labels import signed_target

Blurs = Annotated[int, Range(0, 1000)]
"""How often a mask is blurred."""


@dataclass(frozen=True)
class HybridImages(Supervision):
    """A contrastive view combines two images by a mask with large regions (Hinton 2022, section 3.2).

    The mask begins as random bits and is blurred `blurs` times by [1/4, 1/2, 1/4] along both axes, with the edge
    repeated; pixels above one half are of the image, all others of another one. So short-range statistics are those of
    images and long-range ones are not. The other image is any other of the batch.
    Raises ValueError for a negative number of blurs, and for images that have no map.
    """

    signed: ClassVar[bool] = True

    blurs: Blurs = 6
    """How often the mask is blurred: the more, the larger its regions."""

    def train_view(
        self, x: Float[Tensor, "B ..."], y: Int64[Tensor, "B"], generator: torch.Generator
    ) -> tuple[Stream, Target]:
        mask = blurred_mask(x, self.blurs, generator)
        hybrids = torch.where(mask, x, another(x, generator))
        return (torch.cat([x, hybrids]),), signed_target(torch.cat([y, y]), 2)

    def test_views(self, x: Float[Tensor, "B ..."]) -> list[Stream]:
        return []

    def neutral_view(self, x: Float[Tensor, "B ..."]) -> Stream:
        return (x,)


@dataclass(frozen=True)
class SelfContrast(Supervision):
    """A real view is an image with itself, a contrastive one an image with another (SCFF, Chen et al. 2025).

    The paper concatenates the two and gives both the same weights, so that a layer computes W x1 + W x2; here they are
    averaged first. Each is brought to unit length before that; the paper normalizes both together. The average of two
    images stays shorter than 1. The other image is any other of the batch.
    """

    signed: ClassVar[bool] = True

    def train_view(
        self, x: Float[Tensor, "B ..."], y: Int64[Tensor, "B"], generator: torch.Generator
    ) -> tuple[Stream, Target]:
        x = UnitLength()(x)
        return (torch.cat([x, (x + another(x, generator)) / 2]),), signed_target(torch.cat([y, y]), 2)

    def test_views(self, x: Float[Tensor, "B ..."]) -> list[Stream]:
        return []

    def neutral_view(self, x: Float[Tensor, "B ..."]) -> Stream:
        return (UnitLength()(x),)


def another(x: Float[Tensor, "B ..."], generator: torch.Generator) -> Float[Tensor, "B ..."]:
    """Return another image of the batch for each, by one random shift; in a batch of one, the image itself."""
    shift = torch.randint(1, max(2, len(x)), (1,), generator=generator, device=x.device)
    return x[(torch.arange(len(x), device=x.device) + shift) % len(x)]


def blurred_mask(x: Float[Tensor, "B ..."], blurs: int, generator: torch.Generator) -> Bool[Tensor, "B 1 H W"]:
    """Return a mask for each image. Raises ValueError for images that have no map."""
    if x.ndim != 4:
        raise ValueError(f"hybrid images need images [B, channels, H, W], got shape {tuple(x.shape)}")
    shape = (len(x), 1, *x.shape[2:])
    mask = torch.randint(0, 2, shape, generator=generator, device=x.device).to(x.dtype)
    for _ in range(blurs):
        padded = F.pad(mask, (1, 1, 0, 0), mode="replicate")
        mask = padded[..., :-2] / 4 + padded[..., 1:-1] / 2 + padded[..., 2:] / 4
        padded = F.pad(mask, (0, 0, 1, 1), mode="replicate")
        mask = padded[..., :-2, :] / 4 + padded[..., 1:-1, :] / 2 + padded[..., 2:, :] / 4
    return mask > 0.5
