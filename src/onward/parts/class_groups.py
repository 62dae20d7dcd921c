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
    dtype = torch.float64 if activity.dtype == torch.float64 else torch.float32
    return activity.unflatten(1, (num_classes, -1)).flatten(2).mean(dim=2, dtype=dtype)
