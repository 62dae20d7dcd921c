"""Checks of images and labels: the same rules and texts for all functions that take data."""
# N images, C channels, H W map

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

Shape = tuple[int, ...]
"""Channels, height and width of an image."""

_CLASSES = "give class indices 0, 1, 2, ..."
_NUMBERED = f"{_CLASSES}, for example numpy.unique(labels, return_inverse=True)[1]"
LOST_SHARE = 1e-4  # of a deviation: what float32 may round away
_FEW_BITS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def check_images(images: Any, what: str = "images", *, shape: Shape | None = None) -> Tensor:
    """Return images [N, C, H, W], uint8 or floats in [0, 1], from arrays, tensors, lists or tables.

    Input shapes are [N, H, W], [N, C, H, W] or [N, H, W, C]; where both axes could be channels, the first one is.
    `shape` is that of a network's inputs. Zero images are allowed. Raises ValueError with the value and the remedy.
    """
    tensor = as_numbers(images, what)
    if shape is not None and len(tensor) == 0:
        return tensor.new_zeros(0, *shape)
    if tensor.dtype != torch.uint8 and not tensor.is_floating_point():
        raise ValueError(f"{what} has dtype {tensor.dtype}: convert it to uint8 0..255, or to floats in [0, 1]")
    tensor = _channels_first(tensor, what) if shape is None else _of_shape(tensor, what, shape)
    if tensor.is_floating_point():
        _check_range(tensor, what)
    return tensor


def check_finite(values: Any, what: str) -> Tensor:
    """Return numbers of any shape as a tensor. Raises ValueError for NaN and infinite ones, naming the first row."""
    tensor = as_numbers(values, what)
    if tensor.is_floating_point() and not tensor.isfinite().all():
        _refuse_infinite(tensor, what)
    # torch has neither bounds nor comparisons for wide unsigned integers
    return tensor.to(torch.int64) if tensor.dtype in (torch.uint16, torch.uint32) else tensor


def check_labels(labels: Any, what: str = "labels", *, num_classes: int | None = None) -> Int64[Tensor, "N"]:
    """Return class indices. Raises ValueError for other values, and for a class that does not exist."""
    targets = as_numbers(labels, what, remedy=_NUMBERED)
    if targets.ndim != 1:
        remedy = "one class index per image, shape [N]"
        if targets.ndim == 2:
            remedy += _one_for_each(targets, what)
        raise ValueError(f"{what} has shape {tuple(targets.shape)}: give {remedy}")
    if len(targets) == 0:
        return targets.to(torch.int64)
    if targets.is_floating_point() or targets.is_complex() or targets.dtype == torch.bool:
        raise ValueError(
            f"{what}[0] is {targets[0].item()}: class indices must be integers, for example "
            f".astype(int); for numbers to predict give task='values'"
        )
    targets = targets.to(torch.int64)
    low, high = int(targets.argmin()), int(targets.argmax())
    if targets[low] < 0:
        raise ValueError(f"{what}[{low}] is {int(targets[low])}: classes are numbered from 0 upwards")
    if num_classes is not None and targets[high] >= num_classes:
        raise ValueError(f"{what}[{high}] is {int(targets[high])}: classes are numbered 0..{num_classes - 1}")
    return targets


def _one_for_each(targets: Tensor, what: str) -> str:
    """Return the remedy for labels [N, K]: how each row becomes one label, or the task of several labels."""
    if targets.shape[1] == 1:
        return f", for example {what}[:, 0]"
    zeros_and_ones = bool(((targets == 0) | (targets == 1)).all())
    if zeros_and_ones and bool((targets.double().sum(1) != 1).any()):
        return "; rows with several labels, or none, are of task='labels'"
    return f", from one-hot rows {what}.argmax(1)"


def check_pairs(images: Tensor, labels: Tensor, what: str = "images") -> None:
    """Raise ValueError unless there is one label for each image."""
    if len(images) != len(labels):
        raise ValueError(f"{what} has {len(images)} entries but there are {len(labels)} labels: give one label each")


def as_numbers(values: Any, what: str, *, remedy: str = "give numbers") -> Tensor:
    """Return a tensor, array, list or table of numbers as a dense tensor without a graph.

    Raises ValueError for what holds no numbers, for rows of different shapes, and for masked entries.
    """
    if isinstance(values, Tensor) and values.is_quantized:
        raise ValueError(f"{what} is a quantized tensor: give its values as floats, {what}.dequantize()")
    if isinstance(values, list | tuple) and values and all(isinstance(value, Tensor) for value in values):
        if len({value.shape for value in values}) > 1:
            _refuse_ragged(what)
        values = torch.stack(list(values))
    if isinstance(values, Tensor):
        if values.is_nested:
            raise ValueError(
                f"{what} is a nested tensor: stack rows of one shape instead, torch.stack({what}.unbind())"
            )
        if values.is_meta or values.is_complex():
            raise ValueError(f"{what} is a {values.dtype} tensor on {values.device}: {remedy}")
        dense = values.detach().to_dense() if values.layout != torch.strided else values.detach()
        if dense.dtype == torch.uint64:
            return as_numbers(dense.cpu().numpy(), what, remedy=remedy)
        few = dense.is_floating_point() and dense.dtype not in _FEW_BITS
        return dense.float() if few else dense
    array = _as_array(values, what)
    if array.dtype.kind not in "biuf":
        odd = None
        if array.dtype == object:
            odd = next(
                (k for k, value in enumerate(array.flat) if not isinstance(value, int | float | np.number)), None
            )
            if odd is None:
                remedy = f"{remedy} of one type, for example {what}.astype(float)"
        row = (odd or 0) // max(1, array.size // max(1, len(array)))
        first = f", {what}[{row}] is {array.flat[odd or 0]!s:.40}" if array.size else ""
        raise ValueError(f"{what} has dtype {array.dtype}{first}: {remedy}")
    if np.ma.is_masked(values):
        raise ValueError(f"{what} has masked entries: fill them, for example {what}.filled(0)")
    if array.dtype == np.uint64:
        array = np.minimum(array, np.iinfo(np.int64).max).astype(np.int64)
    # One private, contiguous copy: torch can read neither negative strides nor foreign byte orders.
    wide = array.dtype.kind == "f" and array.dtype.itemsize > 8
    return torch.from_numpy(np.array(array, dtype="f8" if wide else array.dtype.newbyteorder("="), order="C"))


def _as_array(values: Any, what: str) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError:
        _refuse_ragged(what)
    except (TypeError, RuntimeError) as error:
        raise ValueError(f"{what} cannot be read as numbers ({error}): give a NumPy array or a tensor") from None
    if array.ndim == 0:
        kind = "None" if values is None else f"a {type(values).__name__}"
        instead = "give a NumPy array, a tensor or a list"
        if hasattr(values, "toarray"):
            instead = f"give its numbers densely, {what}.toarray()"
        elif isinstance(values, dict):
            instead = f"give a table, pandas.DataFrame({what})"
        raise ValueError(f"{what} is {kind}: {instead}")
    return array


def _refuse_ragged(what: str) -> None:
    raise ValueError(f"{what} has entries of different shapes: bring them all to one size")


def channels_first(images: Tensor, shape: Shape | None) -> Tensor:
    """Return images [N, H, W] or [N, H, W, C] as [N, C, H, W], if that has the given shape; others unchanged."""
    if shape is not None and tuple(images.shape[1:]) == shape:
        return images
    moved = _moved(images, shape)
    return images if moved is None or (shape is not None and tuple(moved.shape[1:]) != shape) else moved


def _channels_first(images: Tensor, what: str) -> Tensor:
    moved = _moved(images)
    if moved is not None:
        return moved
    remedy = f"reshape it to [N, H, W] or [N, C, H, W], for example .reshape(-1, {_sides(images)})"
    if images.ndim == 4:
        remedy = "bring it to [N, C, H, W] or [N, H, W, C] with C = 1 or 3 channels"
    raise ValueError(f"{what} has shape {tuple(images.shape)}: {remedy}")


def _of_shape(images: Tensor, what: str, shape: Shape) -> Tensor:
    if tuple(images.shape[1:]) == shape:
        return images
    moved = _moved(images, shape)
    if moved is not None and tuple(moved.shape[1:]) == shape:
        return moved
    remedy = "resize or convert them first"
    if tuple(images.shape) in (shape, shape[1:], (*shape[1:], shape[0])):
        remedy = f"a single image is {what}[None]"
    elif images.ndim == 2 and images.shape[1] == math.prod(shape):
        remedy = f"reshape them, {what}.reshape(-1, {', '.join(str(size) for size in shape)})"
    raise ValueError(
        f"{what} of shape {tuple(images.shape[1:])} given, but this network takes {shape} "
        f"(channels, height, width); {remedy}"
    )


def _moved(images: Tensor, shape: Shape | None = None) -> Tensor | None:
    """Return images with their channels first: 1 or 3 of them, or those of `shape`; None if they have neither."""
    if images.ndim == 4 and shape is not None and (images.shape[3], *images.shape[1:3]) == tuple(shape):
        return images.permute(0, 3, 1, 2).contiguous()
    if images.ndim == 3:
        return images[:, None]
    if images.ndim == 4 and images.shape[1] in (1, 3):
        return images
    if images.ndim == 4 and images.shape[3] in (1, 3):
        return images.permute(0, 3, 1, 2).contiguous()
    return None


def _sides(images: Tensor) -> str:
    """Return the likely shape of images that are given as flat rows, as text."""
    values = images.shape[1] if images.ndim == 2 else 0
    for channels, before in ((1, ""), (3, "3, ")):
        side = math.isqrt(values // channels)
        if side and channels * side**2 == values:
            return f"{before}{side}, {side}"
    return "28, 28"


def _check_range(images: Tensor, what: str) -> None:
    if images.numel() == 0:
        return
    low, high = (float(bound) for bound in images.aminmax())
    if low >= 0 and high <= 1:
        return
    if not (math.isfinite(low) and math.isfinite(high)):
        _refuse_infinite(images, what)
    first = int(((images < 0) | (images > 1)).flatten(1).any(1).int().argmax())
    raise ValueError(
        f"float {what} must lie in [0, 1] but reach from {low:g} to {high:g}, first in {what}[{first}]: "
        f"{_brought_into_range(low, high, what)}"
    )


def _brought_into_range(low: float, high: float, what: str) -> str:
    if low >= -0.05 and high <= 1.05:
        return f"clip them, {what}.clip(0, 1)"
    if low >= 0:
        largest = 255 if 16 < high <= 255 else 65535 if 255 < high <= 65535 else high
        return f"divide by the largest possible value, for example {what} / {largest:g}"
    if low >= -1 and high <= 1:
        return f"shift and scale them, for example ({what} + 1) / 2"
    return f"shift and scale them, for example ({what} - {low:g}) / {high - low:g}".replace("- -", "+ ")


def _refuse_infinite(values: Tensor, what: str) -> None:
    for kind, wrong in (("NaN", values.isnan()), ("an infinite value", values.isinf())):
        rows = wrong.flatten(1).any(1) if wrong.ndim > 1 else wrong
        if rows.any():
            first, count = int(rows.int().argmax()), int(rows.sum())
            others = f", as do {count - 1} others" if count > 1 else ""
            raise ValueError(f"{what}[{first}] holds {kind}{others}: replace such values, or leave these out")
