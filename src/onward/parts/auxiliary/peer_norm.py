"""Peer normalization: units of a layer should be equally active on average."""
# B batch, D channels or features

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from onward.core import Auxiliary, Target
from onward.parts.ops.activity import map_mean, widen


class PeerNormalization(Auxiliary):
    """Squared deviation of each unit's mean activity from the mean over all units, times `weight`.

    Hinton 2022 (named, without an equation); this form is that of a re-implementation (loeweX/Forward-Forward): running
    means, momentum 0.9, of real views alone, with a gradient through the newest batch's share. Units of a map are its
    channels. It keeps units from being nearly silent, or active on every image. A unit that is silent on all images has
    no gradient behind a plain ReLU and stays silent; the re-implementation lets gradients pass.
    Raises ValueError for a momentum outside [0, 1) or a negative weight.
    """

    couples_samples: ClassVar[bool] = True
    mean: Tensor

    def __init__(self, channels: int, *, weight: float = 0.03, momentum: float = 0.9):
        super().__init__()
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {momentum}")
        if weight < 0:
            raise ValueError(f"the weight of peer normalization must be 0 or more, got {weight}")
        self.weight = weight
        self.momentum = momentum
        self.register_buffer("mean", torch.full((channels,), 0.5))

    def forward(self, activity: Float[Tensor, "B D ..."], target: Target) -> Float[Tensor, "D"]:
        real = activity[: len(activity) // target.views]
        with torch.autocast(activity.device.type, enabled=False):
            newest = map_mean(widen(real)).mean(dim=0)
            mean = self.momentum * self.mean.to(newest.dtype) + (1 - self.momentum) * newest
            if self.training:
                self.mean.copy_(mean.detach())
            return self.weight * (mean - mean.mean()).square()


class OverTimes(Auxiliary):
    """Applies another auxiliary to a state with a time axis: its times are further samples."""

    def __init__(self, auxiliary: Auxiliary):
        super().__init__()
        vars(self)["couples_samples"] = auxiliary.couples_samples
        self.auxiliary = auxiliary

    def forward(self, activity: Float[Tensor, "B T D"], target: Target) -> Tensor:
        return self.auxiliary(activity.flatten(0, 1), target)
