"""Similarity matching: images of one class should have similar activities, images of two classes different ones."""
# B batch, D channels or features, H W map, N = B * B pairs

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from onward.core import Auxiliary, Target
from onward.parts.ops.activity import widen
from onward.parts.ops.feature_maps import as_map
from onward.parts.ops.one_hot import one_hot


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
        projected = widen(self.project(as_map(activity) if self.maps else activity))
        with torch.autocast(activity.device.type, enabled=False):
            labels = one_hot(target.label, self.num_classes, projected.dtype)
            difference = similarities(map_deviation(projected)) - similarities(labels)
            return self.weight * difference.square().flatten()


def map_deviation(activity: Float[Tensor, "B D ..."]) -> Float[Tensor, "B D"]:
    """Return the standard deviation of each channel over its map; without a map, or with a map of one value, the value.

    Nøkland and Eidnes 2019, as in the released code: the unbiased deviation, whose gradient is zero where it is zero.
    """
    flat = activity.flatten(2) if activity.ndim > 2 else activity.unsqueeze(2)
    return flat.std(dim=2) if flat.shape[2] > 1 else flat.squeeze(2)


def similarities(features: Float[Tensor, "B D"], eps: float = 1e-8) -> Float[Tensor, "B B"]:
    """Return the cosine of every pair of samples, each first centered to mean 0 over its own features.

    One-hot labels of C classes have similarity 1 if they are equal and -1 / (C - 1) otherwise.
    """
    centered = features - features.mean(dim=1, keepdim=True)
    unit = centered / (torch.linalg.vector_norm(centered, dim=1, keepdim=True) + eps)
    return unit @ unit.T
