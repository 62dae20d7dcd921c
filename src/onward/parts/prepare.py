"""Preparation: from images, or other inputs, to the network's input."""
# B batch, K image channels, H W map

from collections.abc import Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from onward.core import InputForm, TakesImages, TakesInputs


class Standardize(TakesImages):
    """Checks the shape of images, scales uint8 to [0, 1], and standardizes each channel.

    `shape` is (K, H, W). Mean 0 and deviation 1 leave values in [0, 1] unchanged.
    Raises ValueError for images of another shape, and for other dtypes than uint8 and floats.
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


class StandardizeValues(TakesInputs):
    """Checks the shape of inputs of any form, and brings each channel, or column of a table, to mean 0 and deviation 1.

    The mean is subtracted in float64, so that large numbers with small differences keep them; the result is float32.
    Token ids are unchanged. Raises ValueError for inputs of another shape.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, form: InputForm, mean: Sequence[float], deviation: Sequence[float]):
        super().__init__()
        self.form = form
        sides = [1] * (len(form.shape) - 1)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float64).view(-1, *sides))
        self.register_buffer("deviation", torch.tensor(deviation, dtype=torch.float32).view(-1, *sides))

    def forward(self, inputs: Shaped[Tensor, "B ..."]) -> Shaped[Tensor, "B ..."]:
        if tuple(inputs.shape[1:]) != self.form.shape:
            raise ValueError(
                f"inputs of shape {tuple(inputs.shape[1:])} given, but this network takes {self.form.shape}"
            )
        if self.form.kind == "tokens":
            return inputs
        return (inputs.to(self.mean.dtype) - self.mean).to(self.deviation.dtype) / self.deviation
