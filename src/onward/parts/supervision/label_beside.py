"""The label beside the image: a pattern per class that enters as a further channel, or as further values."""
# B batch, C classes, K channels of the image, E = K + 1, H W map, N views of all images, S side, V values

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from onward.core import Stream
from onward.parts.supervision.labels import LabeledViews


@dataclass(frozen=True)
class LabelNumber(LabeledViews):
    """Appends the label as one more channel, filled with the number of the class; `LabelBeside` reads it.

    A neutral view is the image without that channel. Views are ordered as by `LabelInInput`.
    Raises ValueError if there are not that many wrong labels, and for images that have no map.
    """

    def neutral_view(self, x: Float[Tensor, "B ..."]) -> Stream:
        return (x,)

    def write(self, x: Float[Tensor, "B ..."], labels: Int64[Tensor, "B"]) -> Float[Tensor, "B E H W"]:
        """Return a copy of the images with the class number as the last channel."""
        if x.ndim != 4:
            raise ValueError(f"a label beside the image needs images [B, channels, H, W], got shape {tuple(x.shape)}")
        number = labels.to(x.dtype).view(-1, 1, 1, 1).expand(-1, 1, *x.shape[2:])
        return torch.cat([x, number], dim=1)


class LabelBeside(nn.Module):
    """Replaces the number of a class by its pattern, or appends the mean of all patterns if there is no number.

    With `maps` a pattern has `side` x `side` values: one more channel, cropped to the image, or repeated over a larger
    one. Without, an image is flattened and `side` values follow it. Patterns are fixed random bits, or drawn from a
    normal distribution and `learned`.
    Raises ValueError for a side below 1.
    """

    patterns: Tensor

    def __init__(self, num_classes: int, inputs: int, *, maps: bool, side: int, learned: bool):
        """`inputs`: the channels of an image, or its values if there are no maps."""
        super().__init__()
        if side < 1:
            raise ValueError(f"a pattern needs at least 1 value on a side, got {side}")
        self.inputs = inputs
        self.maps = maps
        shape = (num_classes, side, side) if maps else (num_classes, side)
        if learned:
            self.patterns = nn.Parameter(torch.randn(shape))
        else:
            self.register_buffer("patterns", torch.randint(0, 2, shape).float())

    def forward(self, x: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        image, patterns = self._split(x)
        if not self.maps:
            return torch.cat([image.flatten(1), patterns], dim=1)
        (height, width), side = image.shape[2:], patterns.shape[1]
        whole = patterns.repeat(1, -(-height // side), -(-width // side))
        return torch.cat([image, whole[:, None, :height, :width]], dim=1)

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        unlabeled = (x.shape[1] if self.maps else x[0].numel()) == self.inputs
        if unlabeled:
            return x, self.patterns.mean(dim=0).expand(x.shape[0], *self.patterns.shape[1:])
        return x[:, :-1], self.patterns[x[:, -1, 0, 0].long()]


def with_label_beside(
    body: nn.Module, num_classes: int, *, learned: bool, side: int, between: nn.Module | None = None
) -> nn.Sequential:
    """Return a body that takes the label beside the image; its first layer is widened in place.

    The weights of the label are drawn with the deviation of those of the image. A batch normalization before that layer
    is widened too. `between` is applied to image and pattern together.
    Raises ValueError for a body that begins with neither a linear nor a convolutional layer of one group.
    """
    names = [name for name, module in body.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    first = body.get_submodule(names[0]) if names else None
    if not isinstance(first, nn.Linear | nn.Conv2d) or (isinstance(first, nn.Conv2d) and first.groups > 1):
        kinds = ", ".join(dict.fromkeys(type(module).__name__ for module in body.modules() if module is not body))
        got = kinds or type(body).__name__
        raise ValueError(f"a label beside the image needs a first layer that sees all of it, got {got}: take an MLP")
    maps = isinstance(first, nn.Conv2d)
    inputs = first.weight.shape[1]
    _widen(first, 1 if maps else side)
    for module in body.modules():
        if module is first:
            break
        if isinstance(module, nn.BatchNorm2d):
            _widen_norm(module)
    front = LabelBeside(num_classes, inputs, maps=maps, side=side, learned=learned)
    return nn.Sequential(front, *([] if between is None else [between]), body)


def _widen(layer: nn.Linear | nn.Conv2d, extra: int) -> None:
    weight = layer.weight.detach()
    fresh = torch.randn(len(weight), extra, *weight.shape[2:]) * weight.std()
    layer.weight = nn.Parameter(torch.cat([weight, fresh], dim=1))
    if isinstance(layer, nn.Linear):
        layer.in_features += extra
    else:
        layer.in_channels += extra


def _widen_norm(norm: nn.BatchNorm2d) -> None:
    fresh = nn.BatchNorm2d(norm.num_features + 1, eps=norm.eps, affine=norm.affine)
    norm.num_features = fresh.num_features
    norm.weight, norm.bias = fresh.weight, fresh.bias
    norm.running_mean, norm.running_var = fresh.running_mean, fresh.running_var
