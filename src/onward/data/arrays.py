"""Data from the user's own arrays, tables and lists."""
# N rows, C channels, H W map, K numbers or labels of a row

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from onward.core import (
    InputForm,
    Kind,
    Seed,
    Task,
    check_finite,
    check_labels,
    check_names,
    check_pairs,
    check_several,
    check_value,
    check_values,
    class_indices,
    common_defaults,
    is_frame,
    measured,
    named_indices,
    names_in,
    numbered_names,
)

from .carve import carve
from .folder import check_names_apart
from .images import Splits, checksum
from .samples import Images, Samples, as_read, narrowed


@common_defaults()
def from_arrays(
    images: Any,
    labels: Any,
    *,
    test_images: Any = None,
    test_labels: Any = None,
    validation_images: Any = None,
    validation_labels: Any = None,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.2,
    kind: Kind | None = None,
    task: Task = "classes",
    weights: Any = None,
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    name: str = "arrays",
) -> Splits:
    """Splits from inputs of any rank, as NumPy arrays, tensors, lists or DataFrames, and a label for each.

    `kind` is that of the inputs; by default their rank decides: images [N H W], [N C H W] or [N H W C], a table [N D]
    or DataFrame, an array of any other shape. Windows [N C T] and tokens [N T] have to be declared. uint8 images stay
    uint8; all other numbers keep the precision of floats, and columns are standardized by training rows.

    Labels are class indices [N], names of classes (texts, truth values, categories), with task "values" numbers [N] or
    [N K], with "labels" zeros and ones [N K]. Without test arrays a `test_fraction` is carved out, stratified by class
    and fixed by `seed`; without validation arrays a `validation_fraction` of the rest. Samples are drawn by `weights`
    [N]; "balanced" gives each class the same. Raises ValueError with the remedy for data that cannot be trained on.
    """
    _check_whole("test", test_images, test_labels)
    _check_whole("validation", validation_images, validation_labels)
    check_value("seed", seed, Seed)
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"name is {name!r}: give the data set a name, such as 'leaves'")
    names = names_of(labels, check_value("task", task, Task), class_names)
    targets = targets_of(labels, task, names, "labels")
    form, tensor = measured(images, kind, "images")
    evaluated = partial(read_rows, form=form, task=task, names=names, by_name=_are_names(labels, task))
    train = _samples(form, tensor, targets, "images")
    train = train if weights is None else replace(train, weights=_weights(weights, train))
    if test_images is None:
        rest, held_out = carve(strata(train.labels), test_fraction, seed, class_names=names, what="test_fraction")
        train, test = train.subset(rest), train.subset(held_out)
    else:
        test = evaluated(test_images, test_labels, what="test_images")
    if validation_images is None:
        kept, carved = carve(strata(train.labels), validation_fraction, seed, class_names=names)
        parts, known = (train.subset(kept), train.subset(carved)), (train, test)
    else:
        parts = train, evaluated(validation_images, validation_labels, what="validation_images")
        known = (*parts, test)
    return Splits(
        name=name,
        train=parts[0],
        validation=parts[1],
        test=test,
        class_names=names,
        checksum=checksum(*known),
        form=form,
        task=task,
    )


def _are_names(labels: Any, task: Task) -> bool:
    """Whether labels call classes by their names."""
    return task == "classes" and names_in(labels) is not None


def _check_whole(split: str, images: Any, labels: Any) -> None:
    if (images is None) != (labels is None):
        lacking = f"{split}_{'images' if images is None else 'labels'}"
        raise ValueError(f"{lacking} is missing: give both {split} arrays, or neither to carve a {split} split out")


def read_rows(
    images: Any,
    labels: Any,
    form: InputForm,
    task: Task,
    names: Sequence[str],
    what: str = "images",
    *,
    by_name: bool = False,
) -> Samples:
    """Return inputs and labels in the form of other samples, for evaluation; `by_name` as in `targets_of`.

    Raises ValueError for inputs of another form, and for labels of other classes.
    """
    targets = targets_of(labels, task, names, what.replace("images", "labels"), by_name=by_name)
    return _samples(form, form.check(images, what), targets, what, evaluated=True)


def targets_of(
    labels: Any, task: Task, names: Sequence[str], what: str, *, by_name: bool = False
) -> Shaped[Tensor, "N *K"]:
    """Return class indices, numbers or several labels; `by_name`: a class may be called by a whole number.

    Raises ValueError for other targets.
    """
    if task == "values":
        return check_values(labels, what, width=len(names))
    if task == "labels":
        return check_several(labels, what, width=len(names))
    return (named_indices if by_name else class_indices)(labels, names, what)


def _samples(form: InputForm, inputs: Tensor, targets: Tensor, what: str, *, evaluated: bool = False) -> Samples:
    if inputs.numel() == 0:
        raise ValueError(f"{what} of shape {tuple(inputs.shape)} is empty: give at least two images of each class")
    check_pairs(inputs, targets, what)
    # A private copy: the caller may go on writing into the arrays.
    inputs, targets = inputs.cpu(), targets.cpu().clone()
    if form.unit and inputs.dtype == torch.uint8:
        return Images(inputs.clone(), targets) if targets.ndim == 1 else Samples(inputs.clone(), targets)
    chosen = not (evaluated or form.unit or form.kind == "tokens")  # rows to learn from decide on their precision
    return Samples((narrowed(inputs) if chosen else as_read(inputs, form)).clone(), targets)


def strata(labels: Shaped[Tensor, "N *K"]) -> Int64[Tensor, "N"]:
    """Return the strata of a stratified split: the classes, or a single one for numbers and several labels."""
    return labels if labels.ndim == 1 else torch.zeros(len(labels), dtype=torch.int64)


def _weights(weights: Any, train: Samples) -> Float[Tensor, "N"]:
    """Return a weight for each row. Raises ValueError for other numbers of them, and for negative ones."""
    if isinstance(weights, str):
        if weights != "balanced" or train.labels.ndim != 1:
            raise ValueError(f"weights is {weights!r}: give a number for each row, or of classes 'balanced'")
        counts = train.labels.bincount()
        return (1 / counts.double())[train.labels]
    numbers = check_finite(weights, "weights").double().cpu()
    if numbers.shape != (len(train),):
        raise ValueError(f"weights has shape {tuple(numbers.shape)}: give one number for each of the {len(train)} rows")
    if (numbers < 0).any() or not numbers.sum() > 0:
        raise ValueError(
            f"weights reach down to {float(numbers.min()):g}: give numbers of 0 or more, not all of them 0"
        )
    return numbers.clone()


def names_of(labels: Any, task: Task, class_names: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of classes, numbers or labels: those given, or those found in labels or a table of them."""
    if class_names is not None:
        names = check_names(class_names)
        check_names_apart(names, "class_names")
        return names
    if task == "classes":
        names = names_in(labels)
        check_names_apart(names or (), "labels")
        return names or numbered_names(check_labels(labels))
    if is_frame(labels):
        return tuple(str(name) for name in labels.columns)
    width = (check_values if task == "values" else check_several)(labels).shape[1]
    single = getattr(labels, "name", None)
    return (str(single or "value"),) if width == 1 else tuple(str(index) for index in range(width))
