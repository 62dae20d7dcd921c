"""Whitening: small patches of the image, transformed so that their values are uncorrelated."""
# B images, K image channels, H W map, F entries of a patch, P patches

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn


class Whiten(nn.Module):
    """Replaces an image by the principal components of its patches at variance 1, and by their negatives.

    A fixed convolution: 2 K side^2 channels from K, a map smaller by side - 1. `covariance` is that of the patches of
    the training split, see `patch_covariance`; `floor` is added to each variance, so that components that hardly occur
    are not amplified. The first layer of Jordan 2024 (arXiv 2404.00498, section 3.2).

    Raises ValueError for a covariance that does not belong to patches of this size.
    """

    weight: Tensor

    def __init__(self, channels: int, side: int, covariance: Sequence[Sequence[float]], *, floor: float = 5e-4):
        super().__init__()
        entries = channels * side**2
        matrix = torch.tensor(covariance, dtype=torch.float64)
        if matrix.shape != (entries, entries):
            sizes = "x".join(str(size) for size in matrix.shape)
            raise ValueError(
                f"patches of {channels}x{side}x{side} have a covariance of {entries}x{entries}, not {sizes}"
            )
        variances, components = torch.linalg.eigh(matrix)
        filters = (components * (variances + floor).rsqrt()).T.reshape(entries, channels, side, side)
        self.register_buffer("weight", torch.cat([filters, -filters]).float())

    def forward(self, images: Float[Tensor, "B K H W"]) -> Float[Tensor, "B F H2 W2"]:
        # Small differences of large values: their rounding errors in half precision would be amplified.
        with torch.autocast(images.device.type, enabled=False):
            return F.conv2d(images, self.weight)


def patch_covariance(
    pixels: UInt8[Tensor, "N K H W"] | Float[Tensor, "N K H W"],
    mean: Sequence[float],
    deviation: Sequence[float],
    side: int,
    *,
    images: int = 5000,
) -> list[list[float]]:
    """Return the second moments [F, F] of all patches of `side` x `side` pixels in standardized images.

    The first `images` images are enough. Raises ValueError for images smaller than a patch.
    """
    if min(pixels.shape[2:]) < side:
        raise ValueError(f"images of {pixels.shape[3]}x{pixels.shape[2]} pixels have no patches of {side}x{side}")
    center, scale = (torch.tensor(values).view(-1, 1, 1) for values in (mean, deviation))
    total, count = torch.zeros((), dtype=torch.float64), 0
    for part in pixels[:images].split(500):
        values = part / 255 if part.dtype == torch.uint8 else part
        patches = F.unfold((values - center) / scale, side).transpose(1, 2).flatten(0, 1).double()
        total, count = total + patches.T @ patches, count + len(patches)
    return (total / count).tolist()
