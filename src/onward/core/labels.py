"""Labels: class indices, names of classes, numbers to predict, or several labels at once."""
# N rows, C classes, K numbers or labels of a row

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from onward.core.columns import category_names, is_frame
from onward.core.inputs import as_numbers, check_finite, check_labels

Task = Literal["classes", "values", "labels"]
"""One class per row; one number or several (regression); or any of several labels (multi-label)."""


def names_in(labels: Any, what: str = "labels") -> tuple[str, ...] | None:
    """Return the class names that labels consist of, sorted or in a categorical's order; None for numbers.

    Truth values have the names False and True. Raises ValueError for an entry that is missing.
    """
    if is_frame(labels) and labels.shape[1] == 1:
        raise ValueError(f"{what} is a table of one column: give the column, {what}[{labels.columns[0]!r}]")
    if getattr(getattr(labels, "dtype", None), "categories", None) is not None:
        return tuple(category_names(labels, what))
    array = _texts(labels)
    if array is None:
        return None
    for k, value in enumerate(array):
        if not isinstance(value, str | bool | np.bool_):
            raise ValueError(f"{what}[{k}] is {value!r} among texts: give a class to each row")
    return tuple(sorted({str(value) for value in array}))


def class_indices(labels: Any, names: Sequence[str], what: str = "labels") -> Int64[Tensor, "N"]:
    """Return the class index of each label, given as an index or as one of `names`.

    Raises ValueError for other labels.
    """
    written = names_in(labels, what)
    if written is None:
        return check_labels(labels, what, num_classes=len(names))
    index_of = {name: k for k, name in enumerate(names)}
    indices = []
    for k, value in enumerate(np.asarray(labels, dtype=object)):
        if str(value) not in index_of:
            known = ", ".join(list(names)[:8]) + (", ..." if len(names) > 8 else "")
            raise ValueError(f"{what}[{k}] is {value!r}, which is none of the classes {known}")
        indices.append(index_of[str(value)])
    return torch.tensor(indices, dtype=torch.int64)


def named_indices(labels: Any, names: Sequence[str], what: str = "labels") -> Int64[Tensor, "N"]:
    """Return the class index of each label of rows to score, given as an index or as one of `names`.

    Where the names themselves are whole numbers, such as 1 to 5, so may the labels be. Raises ValueError for other
    labels, and for numbers that fit both ways.
    """
    own_indices = all(name == str(k) for k, name in enumerate(names))
    if own_indices or not all(map(_is_whole, names)) or names_in(labels, what) is not None:
        return class_indices(labels, names, what)
    numbers = as_numbers(labels, what)
    written = [str(number) for number in numbers.tolist()] if numbers.ndim == 1 else [""]
    if not {*written} <= {*names}:
        return check_labels(labels, what, num_classes=len(names))
    if len(numbers) and int(numbers.min()) >= 0 and int(numbers.max()) < len(names):
        raise ValueError(
            f"{what} are numbers from {int(numbers.min())} to {int(numbers.max())}, which may be the classes called "
            f"{', '.join(names[:8])} or their indices 0..{len(names) - 1}: give them as texts, "
            f"numpy.array({what}).astype(str)"
        )
    return class_indices(written, names, what)


def _is_whole(name: str) -> bool:
    return name.removeprefix("-").isdecimal()


def numbered_names(targets: Int64[Tensor, "N"], what: str = "labels") -> tuple[str, ...]:
    """Return names "0", "1", ... for classes that are numbers. Raises ValueError for a gap in the numbers."""
    if not len(targets):
        raise ValueError(f"{what} is empty: give at least two images of each class")
    high = int(targets.argmax())
    if targets[high] >= len(targets):
        raise ValueError(
            f"{what}[{high}] is {int(targets[high])} though there are {len(targets)} labels: number the classes from 0 "
            "without gaps, or name them all with class_names"
        )
    missing = (targets.bincount() == 0).nonzero()
    if len(missing):
        remedy = f"give {what} - 1" if len(missing) == 1 and missing[0] == 0 else "renumber the classes without gaps"
        raise ValueError(
            f"no image has label {int(missing[0])} though {what} reach {int(targets[high])}: {remedy}, "
            "or name them all with class_names"
        )
    return tuple(str(index) for index in range(int(targets[high]) + 1))


def check_names(class_names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of classes. Raises ValueError unless each is a text and none occurs twice."""
    names = tuple(class_names) if isinstance(class_names, Sequence) and not isinstance(class_names, str) else ()
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"class_names must be a name for each class, got {class_names!r}")
    if not all(name.strip() for name in names):
        raise ValueError(f"class_names[{[*map(str.strip, names)].index('')}] is empty: give every class a name")
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise ValueError(f"class_names has {name!r} {count} times: give every class its own name")
    return names


def check_values(values: Any, what: str = "labels", *, width: int | None = None) -> Float[Tensor, "N K"]:
    """Return numbers to predict, float64 [N, K], from [N] or [N, K]. Raises ValueError for other shapes and for NaN."""
    tensor = check_finite(values.to_numpy() if is_frame(values) else values, what).double()
    tensor = tensor[:, None] if tensor.ndim == 1 else tensor
    if tensor.ndim != 2 or not tensor.shape[1]:
        raise ValueError(f"{what} has shape {tuple(tensor.shape)}: give one number for each row [N], or several [N, K]")
    if width is not None and len(tensor) and tensor.shape[1] != width:
        raise ValueError(f"{what} has {tensor.shape[1]} numbers for each row, those of the training had {width}")
    return tensor


def check_several(labels: Any, what: str = "labels", *, width: int | None = None) -> Float[Tensor, "N K"]:
    """Return labels of rows that may have several, float32 [N, K] of zeros and ones.

    Raises ValueError for other shapes and other numbers.
    """
    tensor = check_finite(labels.to_numpy() if is_frame(labels) else labels, what)
    if tensor.ndim != 2 or tensor.shape[1] < 2:
        raise ValueError(f"{what} has shape {tuple(tensor.shape)}: give zeros and ones [N, K], a column for each label")
    if not ((tensor == 0) | (tensor == 1)).all():
        raise ValueError(f"{what} holds other numbers than 0 and 1: give 1 where a row has the label, else 0")
    if width is not None and tensor.shape[1] != width:
        raise ValueError(f"{what} has {tensor.shape[1]} columns, those of the training had {width}")
    return tensor.float()


def _texts(labels: Any) -> np.ndarray | None:
    """Return labels that are texts or truth values; None for numbers, and for anything but one label per row."""
    if isinstance(labels, Tensor):
        return labels.cpu().numpy().astype(object) if labels.dtype == torch.bool and labels.ndim == 1 else None
    try:
        array = np.asarray(labels)
    except (ValueError, TypeError, RuntimeError):
        return None
    if array.ndim != 1 or not len(array):
        return None
    if array.dtype.kind in "bU":
        return array.astype(object)
    if array.dtype.kind in "OT" and any(isinstance(value, str) for value in array):
        return array.astype(object)
    return None
