"""Class groups: consecutive channels that score one class; where they are uneven, the first ones have one more."""
# B batch, C classes, D channels or features

import torch
from jaxtyping import Float
from torch import Tensor

from onward.core import rows_at_once, unrectified
from onward.parts.ops.activity import map_mean, widen


class UnevenGroups(ValueError):
    """The number of channels is no multiple of the number of classes."""


def check_groups(num_classes: int, channels: int) -> None:
    """Raise UnevenGroups unless every class gets the same number of channels."""
    if channels % num_classes == 0 and channels > 0:
        return
    below, above = channels // num_classes * num_classes, (channels // num_classes + 1) * num_classes
    nearest = f"{below} or {above}" if below else f"{above}"
    raise UnevenGroups(
        f"{channels} channels cannot be split into {num_classes} equal class groups; the nearest widths are {nearest}"
    )


def group_mean(activity: Float[Tensor, "B D ..."], num_classes: int) -> Float[Tensor, "B C"]:
    """Return the mean activity of each class group, accumulated in fp32 or wider."""
    return _GroupMean.apply(activity, num_classes)


def group_norm(
    activity: Float[Tensor, "B D ..."], num_classes: int, eps: float, *, overwrite: bool = False
) -> Float[Tensor, "B D ..."]:
    """Bring each class group to mean 0 and variance 1, without a graph, as torch's group norm does.

    It is torch's own, except for channels-last maps on a CPU, where torch's is several times slower. There the variance
    is the mean of squares less the square of the mean, in fp32: within 2e-7 for activities of a trained network, and
    off by 1e-3 if the mean of a map is 100 times its deviation. With `overwrite` the result may be written into the
    activity.
    """
    if _kernel_is_fast(activity):
        return torch.group_norm(activity, num_classes, eps=eps)
    handed_on = activity if overwrite else torch.empty_like(activity)
    for piece, target in zip(_pieces(activity), _pieces(handed_on), strict=True):
        wide = widen(piece)
        mean = _groups(map_mean(wide), num_classes)
        variance = (_groups(map_mean(wide.square()), num_classes) - mean.square()).clamp_min(0)
        scale = (variance + eps).rsqrt()
        shift = _per_channel(-mean * scale, piece)
        if wide is piece:
            torch.addcmul(shift, wide, _per_channel(scale, piece), out=target)
        else:  # rounding in the same operation takes torch twice as long
            target.copy_(torch.addcmul(shift, wide, _per_channel(scale, piece)))
    return handed_on


def group_mean_square(activity: Float[Tensor, "B D ..."], num_classes: int) -> Float[Tensor, "B C"]:
    """Return the mean of the squared activity of each class group, accumulated in fp32 or wider."""
    return _GroupMeanSquare.apply(unrectified(activity), num_classes)


def group_length(activity: Float[Tensor, "B D ..."], num_classes: int, eps: float) -> Float[Tensor, "B D ..."]:
    """Divide each class group by its root mean square over channels and map; a gradient passes through."""
    wide = widen(activity)
    scale = (_groups(map_mean(wide.square()), num_classes) + eps).rsqrt()
    return (wide * _per_channel(scale, activity)).to(activity.dtype)


class _GroupMean(torch.autograd.Function):
    """A mean that saves nothing, and whose gradient is one number per channel, in the activity's own precision.

    Autograd's own chain of casts and divisions reads or writes the whole map four times.
    """

    @staticmethod
    def forward(ctx, activity: Tensor, num_classes: int) -> Tensor:
        ctx.like = torch.empty_like(activity, device="meta")
        return _groups(_joined([map_mean(widen(piece)) for piece in _pieces(activity)]), num_classes)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        share = gradient * _shares(gradient, ctx.like)
        # Expanded, not copied: the backward pass of the ReLU reads it once, and writes the only map.
        return _per_channel(share, ctx.like).to(ctx.like.dtype).expand(ctx.like.shape), None


class _GroupMeanSquare(torch.autograd.Function):
    """A mean of squares that saves the activity alone, and writes its gradient once, as `_GroupMean` does.

    Autograd's own chain saves an fp32 copy of a half-precision map.
    """

    @staticmethod
    def forward(ctx, activity: Tensor, num_classes: int) -> Tensor:
        ctx.save_for_backward(activity)
        return _groups(_joined([map_mean(widen(piece).square()) for piece in _pieces(activity)]), num_classes)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        (activity,) = ctx.saved_tensors
        share = gradient * (2 * _shares(gradient, activity))
        return activity * _per_channel(share, activity).to(activity.dtype), None


def _kernel_is_fast(activity: Tensor) -> bool:
    """Whether torch's group norm is faster; small tensors are dominated by the overhead of each operation."""
    if activity.device.type != "cpu" or activity.is_contiguous():
        return True
    return not torch.compiler.is_exporting() and activity.numel() <= 2**14  # a program is for batches of any size


def _joined(pieces: list[Tensor], dim: int = 0) -> Tensor:
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim)


def _pieces(activity: Tensor) -> tuple[Tensor, ...]:
    """Cut a batch into pieces whose intermediate results fit a CPU's cache; on a GPU pieces are large: few launches."""
    if torch.compiler.is_exporting():  # a program for batches of any size
        return (activity,)
    rows = rows_at_once(activity)
    return (activity,) if rows >= len(activity) else activity.split(rows)


def _runs(channels: int, num_classes: int) -> list[tuple[int, int]]:
    """Return how many classes have how many channels each, as even as they can be."""
    least, more = divmod(channels, num_classes)
    return [(num_classes, least)] if more == 0 else [(more, least + 1), (num_classes - more, least)]


def _cut(values: Tensor, sizes: list[int]) -> tuple[Tensor, ...]:
    """Cut along the second axis; even groups stay whole, so that an exported program has no operation for it."""
    return (values,) if len(sizes) == 1 else values.split(sizes, dim=1)


def _groups(channels: Tensor, num_classes: int) -> Tensor:
    runs = _runs(channels.shape[1], num_classes)
    parts = _cut(channels, [count * size for count, size in runs])
    return _joined([part.unflatten(1, run).mean(dim=2) for part, run in zip(parts, runs, strict=True)], dim=1)


def _per_channel(groups: Tensor, activity: Tensor) -> Tensor:
    """Repeat a value per group for each of its channels, shaped to broadcast over the activity's map."""
    runs = _runs(activity.shape[1], groups.shape[1])
    parts = _cut(groups, [count for count, _ in runs])
    repeated = [
        part[:, :, None].expand(-1, -1, size).reshape(len(part), -1)
        for part, (_, size) in zip(parts, runs, strict=True)
    ]
    return _joined(repeated, dim=1).reshape(len(groups), -1, *[1] * (activity.ndim - 2))


def _shares(groups: Tensor, activity: Tensor) -> Tensor | float:
    """Return the share of each number of a group in its mean."""
    runs = _runs(activity.shape[1], groups.shape[1])
    if len(runs) == 1:
        return groups.shape[1] / activity.shape[1:].numel()
    positions = activity.shape[2:].numel()
    return torch.cat([groups.new_full((count,), 1 / (size * positions)) for count, size in runs])
