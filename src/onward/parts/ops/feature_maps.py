"""What kind of activity a body gives."""

from torch import nn


def outputs_feature_maps(body: nn.Module) -> bool:
    """Return whether a body gives maps [B, D, H, W]: as its `shape` [D, ...] tells, where that was measured.

    A body without a `shape`, as in the networks of `onward.nets`, does if it has a convolution and no linear layer.
    """
    shape = getattr(body, "shape", None)
    if isinstance(shape, tuple):
        return len(shape) == 3
    kinds = [type(module) for module in body.modules()]
    return nn.Conv2d in kinds and nn.Linear not in kinds
