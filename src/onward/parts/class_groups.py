"""Class groups: consecutive channels that speak for one class."""
# B batch, C classes, D channels or features

import torch
from jaxtyping import Float
from torch import Tensor


def check_groups(num_classes: int, channels: int) -> None:
    """Raise ValueError unless every class gets the same number of channels."""
    if channels % num_classes == 0 and channels > 0:
        return
    below, above = channels // num_classes * num_classes, (channels // num_classes + 1) * num_classes
    nearest = f"{below} or {above}" if below else f"{above}"
    raise ValueError(
        f"{channels} channels cannot be split into {num_classes} equal class groups; the nearest widths are {nearest}"
    )


def group_mean(activity: Float[Tensor, "B D ..."], num_classes: int) -> Float[Tensor, "B C"]:
    """Return the mean activity of each class group, accumulated in fp32 or wider."""
    return _GroupMean.apply(activity, num_classes)


class _GroupMean(torch.autograd.Function):
    """A mean whose gradient is written once, in the activity's own precision and memory format, and saves nothing.

    Autograd's own chain of casts and divisions touches the whole map four times more.
    """

    @staticmethod
    def forward(ctx, activity: Tensor, num_classes: int) -> Tensor:
        ctx.like = torch.empty_like(activity, device="meta")
        dtype = torch.float64 if activity.dtype == torch.float64 else torch.float32
        return activity.unflatten(1, (num_classes, -1)).flatten(2).mean(dim=2, dtype=dtype)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        whole = torch.empty_like(ctx.like, device=gradient.device)
        groups = whole.unflatten(1, (gradient.shape[1], -1))
        share = gradient / (groups[0, 0].numel())
        groups.copy_(share.view(*gradient.shape, *[1] * (groups.ndim - 2)))
        return whole, None
