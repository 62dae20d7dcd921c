"""Image sets from the user's own arrays."""
# N images, C channels (1 or 3), H W map

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from onward.core import Seed, check_images, check_labels, check_pairs, check_value, common_defaults

from .carve import carve, carve_validation
from .folder import check_names_apart
from .images import Images, Splits

_SAMPLE = 2**20  # pixels that are looked at for what 8 bits would lose
_LEVELS = 8  # of 256: pixels that keep to fewer are pictures no longer


@common_defaults()
def from_arrays(
    images: Any,
    labels: Any,
    *,
    test_images: Any = None,
    test_labels: Any = None,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.2,
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    name: str = "arrays",
) -> Splits:
    """Splits from images [N H W], [N C H W] or [N H W C] (uint8, or floats in [0, 1]) and class indices [N].

    Tensors, arrays, lists and tables are taken. Without test arrays a stratified `test_fraction` is carved out, fixed
    by `seed`. Channels come first when both places could hold them. Images are kept as 8 bits per value. Raises
    ValueError on other shapes, dtypes, value ranges or labels, and for floats that 8 bits would make equal.
    """
    if (test_images is None) != (test_labels is None):
        lacking = "test_images" if test_images is None else "test_labels"
        raise ValueError(f"{lacking} is missing: give both test arrays, or neither to carve a test split out")
    check_value("seed", seed, Seed)
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"name is {name!r}: give the data set a name, such as 'leaves'")
    targets = check_labels(labels)
    names = _numbered(targets) if class_names is None else _names(class_names)
    train = _images(images, targets, "images", len(names))
    if test_images is None or test_labels is None:
        rest, held_out = carve(train.labels, test_fraction, seed, class_names=names, what="test_fraction")
        train, test = train.subset(rest), train.subset(held_out)
    else:
        test = _images(test_images, check_labels(test_labels, "test_labels"), "test_images", len(names))
    return carve_validation(train, test, fraction=validation_fraction, seed=seed, name=name, class_names=names)


def _images(images: Any, targets: Int64[Tensor, "N"], what: str, num_classes: int) -> Images:
    check_labels(targets, what.replace("images", "labels"), num_classes=num_classes)
    pixels = check_images(images, what)
    if pixels.numel() == 0:
        raise ValueError(f"{what} of shape {tuple(pixels.shape)} is empty: give at least two images of each class")
    check_pairs(pixels, targets, what)
    # A private copy: the caller may go on writing into the arrays.
    return Images(_eight_bit(pixels.cpu(), what).clone(), targets.cpu().clone())


def _eight_bit(images: Tensor, what: str) -> UInt8[Tensor, "..."]:
    if images.dtype == torch.uint8:
        return images
    _refuse_collapse(images, what)
    return (images * 255).round().to(torch.uint8)


def _refuse_collapse(images: Tensor, what: str) -> None:
    """Refuse floats whose differences are far below a grey level, and would be lost.

    Looked at is where 98 of 100 pixels lie, whatever a few hot ones do: fewer than eight grey levels there, although
    the floats tell at least four times as many values apart. Rounding alone, a 100,000th of a value, tells nothing.
    """
    pixels = images.flatten()
    pixels = pixels[:: -(-len(pixels) // _SAMPLE)].double().sort().values
    cut = len(pixels) // 100
    kept = pixels[cut : len(pixels) - cut]
    low, high = float(kept[0]), float(kept[-1])
    levels = len((kept * 255).round().unique())
    if levels >= _LEVELS or high - low <= 1e-5 * high:
        return
    values = len(((kept - low) / (high - low) * 1000).round().unique())
    if values >= 4 * levels:
        shifted = f"({what} - {low:.3g})" if low else what
        raise ValueError(
            f"98 % of the pixels of {what} lie between {low:.3g} and {high:.3g}: images are kept as 256 gray levels, "
            f"and those would fall on {levels} of them; stretch them, for example "
            f"({shifted} / {high - low:.3g}).clip(0, 1)"
        )


def _numbered(targets: Int64[Tensor, "N"]) -> tuple[str, ...]:
    """Return the names of classes that have none. Raises ValueError where a number is left out."""
    if not len(targets):
        raise ValueError("labels is empty: give at least two images of each class")
    high = int(targets.argmax())
    if targets[high] >= len(targets):
        raise ValueError(
            f"labels[{high}] is {int(targets[high])} though there are {len(targets)} labels: number the classes from 0 "
            "without gaps, or name them all with class_names"
        )
    missing = (targets.bincount() == 0).nonzero()
    if len(missing):
        remedy = "give labels - 1" if len(missing) == 1 and missing[0] == 0 else "renumber the classes without gaps"
        raise ValueError(
            f"no image has label {int(missing[0])} though labels reach {int(targets[high])}: {remedy}, "
            "or name them all with class_names"
        )
    return tuple(str(index) for index in range(int(targets[high]) + 1))


def _names(class_names: Sequence[str]) -> tuple[str, ...]:
    names = tuple(class_names) if isinstance(class_names, Sequence) and not isinstance(class_names, str) else ()
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"class_names must be a name for each class, got {class_names!r}")
    if not all(name.strip() for name in names):
        raise ValueError(f"class_names[{[*map(str.strip, names)].index('')}] is empty: give every class a name")
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise ValueError(f"class_names has {name!r} {count} times: give every class its own name")
    check_names_apart(names, "class_names")
    return names
