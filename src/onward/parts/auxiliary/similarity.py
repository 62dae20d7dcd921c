"""Similarity matching: images of one class should have similar activities, images of other classes different ones."""
# B batch, D channels or features, H W map, N = B * B pairs

from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from onward.core import Auxiliary, Target, numbers
from onward.core.renamed import removed_argument
from onward.parts.ops.activity import widen
from onward.parts.ops.feature_maps import as_map

_EPS = 1e-8  # deviations below it count as zero


class SimilarityMatching(Auxiliary):
    """Squared difference between the similarities of activities and those of labels, for every pair of a batch.

    The activity goes through a learned projection of as many channels first: a 3 x 3 convolution if it has `maps`, else
    a linear layer, both without bias. Nøkland and Eidnes 2019, the loss `sim`. All but the projection is in fp32.

    It couples the samples of a batch: with micro-batches, only those of the same piece are compared.
    """

    couples_samples: ClassVar[bool] = True

    def __init__(self, num_classes: int, channels: int, *, maps: bool, weight: float = 1.0):
        super().__init__()
        self.num_classes = num_classes
        self.weight = weight
        self.maps = maps
        self.project = (
            nn.Conv2d(channels, channels, 3, padding=1, bias=False)
            if maps
            else nn.Linear(channels, channels, bias=False)
        )

    def forward(self, activity: Float[Tensor, "B D ..."], target: Target) -> Float[Tensor, "N"]:
        projected = self.project(as_map(activity) if self.maps else activity)
        with torch.autocast(activity.device.type, enabled=False):
            features = map_deviation(projected)
            wanted = target.of_label(label_similarities, self.num_classes, features.dtype)
            return _Mismatch.apply(features, wanted, self.weight).flatten()


def map_deviation(activity: Float[Tensor, "B D ..."]) -> Float[Tensor, "B D"]:
    """Return the standard deviation of each channel over its map; without a map, or with a map of one value, the value.

    Nøkland and Eidnes 2019, as in the released code: the unbiased deviation, whose gradient is zero where it is zero.
    In fp32 or wider.
    """
    flat = activity.flatten(2) if activity.ndim > 2 else activity.unsqueeze(2)
    return _Deviation.apply(flat) if flat.shape[2] > 1 else widen(flat).squeeze(2)


@removed_argument("eps", default=1e-8, remedy="deviations below 1e-8 count as zero")
def similarities(features: Float[Tensor, "B D"]) -> Float[Tensor, "B B"]:
    """Return the cosine of every pair of samples, each first centered to mean 0 over its own features.

    A sample whose features are all equal has no direction, and similarity 0 to every other.
    """
    unit, _, _ = _standardized(features)
    return unit @ unit.T / features.shape[1]


def label_similarities(labels: Int64[Tensor, "B"], num_classes: int, dtype: torch.dtype) -> Float[Tensor, "B B"]:
    """Return the similarities of one-hot labels: 1 if equal, else -1 / (C - 1); 0 if there is a single class."""
    alike, unlike = (1.0, -1 / (num_classes - 1)) if num_classes > 1 else (0.0, 0.0)
    values = [numbers(value, dtype, labels.device) for value in (alike, unlike)]
    return torch.where(labels[:, None] == labels[None, :], *values)


class _Deviation(torch.autograd.Function):
    """Saves the map in its own precision alone: d deviation / d x = (x - mean) / ((count - 1) deviation)."""

    @staticmethod
    def forward(ctx: Any, flat: Tensor) -> Tensor:
        deviation, mean = torch.std_mean(widen(flat), dim=2)
        ctx.save_for_backward(flat, mean, deviation)
        return deviation

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        flat, mean, deviation = ctx.saved_tensors
        share = gradient / deviation.mul(flat.shape[2] - 1).clamp_min_(_EPS)
        return (flat - mean[:, :, None]).mul_(share[:, :, None]).to(flat.dtype)


class _Mismatch(torch.autograd.Function):
    """`weight` times the squared difference between the similarities of features and the `wanted` ones.

    With h the features at mean 0 and variance 1, similarities are h h^T / D: only h and one matrix are saved.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, wanted: Tensor, weight: float) -> Tensor:
        unit, mean, scale = _standardized(features)
        root = weight**0.5
        difference = torch.addmm(wanted, unit, unit.T, beta=-root, alpha=root / features.shape[1])
        ctx.save_for_backward(features, unit, mean, scale, difference)
        ctx.root = root
        return difference.square()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        features, unit, mean, scale, difference = ctx.saved_tensors
        size = features.shape[1]
        below = gradient * difference
        along = torch.addmm(unit, below + below.T, unit, beta=0, alpha=2 * ctx.root / size)
        of_activity, *_ = torch.ops.aten.native_layer_norm_backward(
            along, features, [size], mean, scale, None, None, [True, False, False]
        )
        return of_activity, None, None


def _standardized(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the features of each sample at mean 0 and variance 1, their mean, and their factor."""
    return torch.native_layer_norm(features, [features.shape[1]], None, None, _EPS**2)
