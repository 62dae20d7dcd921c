"""Image sets from the user's own arrays."""
# N images, C channels (1 or 3), H W map

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from .carve import carve, carve_validation
from .images import Images, Splits

Array = Tensor | np.ndarray


def from_arrays(
    images: Array,
    labels: Array,
    *,
    test_images: Array | None = None,
    test_labels: Array | None = None,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.2,
    seed: int = 0,
    class_names: tuple[str, ...] | None = None,
    name: str = "arrays",
) -> Splits:
    """Splits from images [N H W], [N C H W] or [N H W C] (uint8, or floats in [0, 1]) and class indices [N].

    Without test arrays a stratified `test_fraction` is carved out, fixed by `seed`. Channels come first when both
    places could hold them. Raises ValueError on other shapes, dtypes, value ranges or labels.
    """
    if (test_images is None) != (test_labels is None):
        lacking = "test_images" if test_images is None else "test_labels"
        raise ValueError(f"{lacking} is missing: give both test arrays, or neither to carve a test split out")
    targets = _class_indices(labels, "labels")
    names = class_names or tuple(str(index) for index in range(int(targets.max()) + 1))
    if class_names is None:
        _refuse_gaps(targets, len(names))
    train = _images(images, targets, "images", len(names))
    if test_images is None or test_labels is None:
        rest, held_out = carve(train.labels, test_fraction, seed, class_names=names)
        train, test = train.subset(rest), train.subset(held_out)
    else:
        test = _images(test_images, _class_indices(test_labels, "test_labels"), "test_images", len(names))
    return carve_validation(train, test, fraction=validation_fraction, seed=seed, name=name, class_names=names)


def _images(images: Array, targets: Int64[Tensor, "N"], what: str, num_classes: int) -> Images:
    high = int(targets.argmax())
    if targets[high] >= num_classes:
        labels = what.replace("images", "labels")
        raise ValueError(f"{labels}[{high}] is {int(targets[high])}: classes are numbered 0..{num_classes - 1}")
    pixels = _channels_first(_eight_bit(_tensor(images, what), what), what)
    if len(pixels) != len(targets):
        raise ValueError(f"{what} has {len(pixels)} entries but there are {len(targets)} labels: give one label each")
    return Images(pixels, targets)


def _tensor(array: Array, what: str) -> Tensor:
    if isinstance(array, Tensor):
        tensor = array.detach().cpu().clone()
    elif array.dtype.kind in "biuf":
        # One private, contiguous copy: torch can read neither negative strides nor foreign byte orders.
        wide = array.dtype.kind == "f" and array.dtype.itemsize > 8
        tensor = torch.from_numpy(np.array(array, dtype="f8" if wide else array.dtype.newbyteorder("="), order="C"))
    else:
        raise ValueError(f"{what} has dtype {array.dtype}: give numbers, for labels the class indices 0, 1, 2, ...")
    if tensor.numel() == 0:
        raise ValueError(f"{what} of shape {tuple(tensor.shape)} is empty: give at least two images of each class")
    return tensor


def _eight_bit(images: Tensor, what: str) -> UInt8[Tensor, "..."]:
    if images.dtype == torch.uint8:
        return images
    if not images.is_floating_point():
        raise ValueError(f"{what} has dtype {images.dtype}: convert it to uint8 0..255, or to floats in [0, 1]")
    low, high = (float(bound) for bound in images.aminmax())
    if not (low >= 0 and high <= 1):
        if low >= 0 and high < float("inf"):
            remedy = f"divide by the largest possible value, for example {what} / {high:g}"
        else:
            remedy = "replace NaN and infinite values and shift and scale the rest"
        raise ValueError(f"float {what} must lie in [0, 1] but reaches from {low:g} to {high:g}: {remedy}")
    return (images * 255).round().to(torch.uint8)


def _channels_first(images: UInt8[Tensor, "..."], what: str) -> UInt8[Tensor, "N C H W"]:
    if images.ndim == 3:
        return images[:, None]
    if images.ndim == 4 and images.shape[1] in (1, 3):
        return images
    if images.ndim == 4 and images.shape[3] in (1, 3):
        return images.permute(0, 3, 1, 2).contiguous()
    remedy = "reshape it to [N, H, W] or [N, C, H, W], for example .reshape(-1, 28, 28)"
    if images.ndim == 4:
        remedy = "bring it to [N, C, H, W] or [N, H, W, C] with C = 1 or 3 channels"
    raise ValueError(f"{what} has shape {tuple(images.shape)}: {remedy}")


def _class_indices(labels: Array, what: str) -> Int64[Tensor, "N"]:
    targets = _tensor(labels, what)
    if targets.ndim != 1:
        raise ValueError(f"{what} has shape {tuple(targets.shape)}: give one class index per image, shape [N]")
    if targets.is_floating_point() or targets.is_complex() or targets.dtype == torch.bool:
        raise ValueError(f"{what}[0] is {targets[0].item()}: class indices must be integers, for example .astype(int)")
    targets = targets.long()
    low = int(targets.argmin())
    if targets[low] < 0:
        raise ValueError(f"{what}[{low}] is {int(targets[low])}: classes are numbered from 0 upwards")
    return targets


def _refuse_gaps(targets: Int64[Tensor, "N"], num_classes: int):
    missing = (targets.bincount(minlength=num_classes) == 0).nonzero()
    if len(missing):
        raise ValueError(
            f"no image has label {int(missing[0])} though labels reach {num_classes - 1}: renumber the classes "
            "without gaps, or name them all with class_names"
        )
