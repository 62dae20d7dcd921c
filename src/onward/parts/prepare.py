"""Preparation: from images to the network's input."""
# B batch, K image channels, H W map

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from onward.core import TakesImages


class Standardise(TakesImages):
    """Checks the shape of images, brings uint8 to [0, 1], and standardises each channel.

    `shape` is (K, H, W). Mean 0 and deviation 1 leave values in [0, 1] as they are.
    Raises ValueError for images of another shape, and for another kind of number than uint8 or floats.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, shape: Sequence[int], mean: Sequence[float], deviation: Sequence[float]):
        super().__init__()
        self.shape = tuple(shape)
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("deviation", torch.tensor(deviation).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Float[Tensor, "B K H W"]:
        if tuple(images.shape[1:]) != self.shape:
            raise ValueError(
                f"images of shape {tuple(images.shape[1:])} given, but this network takes {self.shape} "
                "(channels, height, width); resize or convert them first"
            )
        if images.dtype == torch.uint8:
            images = images.to(self.mean.dtype) / 255
        elif not images.is_floating_point():
            raise ValueError(f"images must be uint8 or floats in [0, 1], got {images.dtype}")
        return (images - self.mean) / self.deviation
