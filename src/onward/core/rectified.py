"""ReLU in place, of which readers that need no mask of silent units take the graph in front of it."""
# B batch

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

_SMALL = 2**14  # up to so many numbers, the overhead of each operation dominates
_IN_FRONT = "_in_front_of_relu"


def rectify_(x: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
    """Return relu(x), written into x, with torch's values and gradients.

    A reader whose gradient is zero wherever a unit is silent takes `unrectified` of the result. Its gradient is then
    that of x, and no masked copy of it is made.
    """
    plain = torch.compiler.is_compiling() or x.numel() <= _SMALL or x.is_leaf or x._is_view()
    if plain or not (torch.is_grad_enabled() and x.requires_grad):
        return torch.relu_(x)
    torch.relu_(x.detach())  # without a graph; an operation that needs the x it returned is refused its gradient
    activity = _Rectified.apply(x)
    setattr(activity, _IN_FRONT, (x, activity._version))
    return activity


def unrectified(activity: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
    """Return the same values with the graph in front of their ReLU if `rectify_` made them, else the activity itself.

    Only for an operation whose gradient is zero wherever the activity is zero.
    """
    made = getattr(activity, _IN_FRONT, None)
    if made is None:  # also in inference mode, whose tensors have no version
        return activity
    x, version = made
    return x if version == activity._version else activity  # written since: silent units may be others


class _Rectified(torch.autograd.Function):
    """The gradient of a ReLU that has been computed in place already."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        activity = x.detach()
        ctx.save_for_backward(activity)
        return activity

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        (activity,) = ctx.saved_tensors
        return torch.ops.aten.threshold_backward(gradient, activity, 0)
