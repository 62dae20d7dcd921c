"""The data arguments of `fit` and `evaluate`, and their conversion to splits."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.utils.data import Dataset

from onward.core import InputForm, Task, check_finite, check_names, check_value

from .arrays import from_arrays, read_rows, targets_of
from .dataset import from_dataset, is_dataset, rows_of_dataset
from .images import Splits, checksum
from .loaded import from_loader, pair_of
from .samples import Samples, Source


@runtime_checkable
class Data(Protocol):
    """Protocol of training data: any object with these members; `Splits` is one.

    `train` gives batches by epoch and seed: `Samples` in memory, or another `Source`. Validation and test samples are
    in memory; selections use validation only, and the test samples are read once, at the end. Targets are class
    indices [N], or of the tasks "values" and "labels" numbers [N, K], a name for each in `class_names`. Optional
    members are `checksum` (a text that identifies these data) and `note` (printed beside every number).
    """

    @property
    def name(self) -> str:
        """The name of the data."""
        ...

    @property
    def train(self) -> Source:
        """Training samples."""
        ...

    @property
    def validation(self) -> Samples:
        """Validation samples, evaluated after every epoch."""
        ...

    @property
    def test(self) -> Samples:
        """Test samples, read once, at the end."""
        ...

    @property
    def class_names(self) -> tuple[str, ...]:
        """A name for each class, number or label."""
        ...

    @property
    def task(self) -> Task:
        """The task: "classes", "values" or "labels"."""
        ...

    @property
    def inputs(self) -> InputForm:
        """The form of the inputs: their kind, the shape of one, and whether they are images with values in [0, 1]."""
        ...


_MEMBERS = ("name", "train", "validation", "test", "class_names", "task", "inputs")


def as_splits(data: Data) -> Splits:
    """Return splits of any object with the members of `Data`; `Splits` unchanged.

    Raises ValueError for inputs and targets that do not have the form that the object declares.
    """
    if isinstance(data, Splits):
        return data
    task, names = check_value("data.task", data.task, Task), check_names(data.class_names)
    if not isinstance(data.inputs, InputForm):
        raise ValueError(f"data.inputs is a {type(data.inputs).__name__}: give onward.core.InputForm(kind, shape)")
    for split, wanted in (("train", Source), ("validation", Samples), ("test", Samples)):
        part = getattr(data, split)
        if not isinstance(part, wanted):
            raise ValueError(
                f"data.{split} is a {type(part).__name__}: give onward.data.Samples(inputs, targets)"
                + (", or another Source" if wanted is Source else "")
            )
        samples = part.sample if isinstance(part, Source) else part
        _check_kept(samples, data.inputs, task, names, f"data.{split}")
    held = [data.validation, data.test]
    own = [data.train] if isinstance(data.train, Samples) else []
    return Splits(
        name=data.name,
        train=data.train,
        validation=data.validation,
        test=data.test,
        class_names=names,
        checksum=getattr(data, "checksum", "") or checksum(*own, *held),
        note=getattr(data, "note", ""),
        form=data.inputs,
        task=task,
    )


def _check_kept(samples: Samples, form: InputForm, task: Task, names: tuple[str, ...], what: str) -> None:
    """Raise ValueError unless samples are stored as `from_arrays` stores them."""
    if samples.shape != form.shape:
        raise ValueError(f"{what} has inputs of shape {samples.shape}, but data.inputs has {form.shape}: make them one")
    form.check(samples.pixels, f"{what}.pixels")
    targets = targets_of(samples.labels, task, names, f"{what}.labels")
    if targets.dtype != samples.labels.dtype or targets.shape != samples.labels.shape:
        raise ValueError(
            f"{what}.labels is {samples.labels.dtype} of shape {tuple(samples.labels.shape)}: keep them as "
            f"{targets.dtype} of shape {tuple(targets.shape)}"
        )


def as_data(data: Any, *, seed: int = 0) -> Splits:
    """Return splits of any `Data`, of a pair (inputs, labels), of a loader, or of a Hugging Face dataset.

    Of a pair no test split is carved: all rows but a tenth for validation are trained on. Raises ValueError for
    anything else, and as `from_arrays`, `from_loader` and `from_dataset` do.
    """
    if isinstance(data, Data):
        return as_splits(data)
    if is_dataset(data):
        return from_dataset(data, seed=seed)
    if isinstance(data, tuple) and len(data) == 2:
        return _pair(*data, seed=seed)
    missing = [member for member in _MEMBERS if not hasattr(data, member)]
    if hasattr(data, "train") and hasattr(data, "validation"):
        raise ValueError(f"data is a {type(data).__name__} without {' and '.join(missing)}: see onward.data.Data")
    if isinstance(data, str | bytes | dict | Tensor) or not hasattr(data, "__iter__") or hasattr(data, "dtype"):
        if isinstance(data, Dataset):
            raise ValueError(
                f"data is a {type(data).__name__}, of single samples: give DataLoader(data, batch_size=64)"
            )
        raise ValueError(
            f"data is a {type(data).__name__}: give (inputs, labels), a DataLoader, or what onward.from_arrays, "
            "onward.from_loader, onward.from_dataset or onward.load_data returns"
        )
    return from_loader(data, seed=seed)


def weights_of(class_weights: Any, data: Splits) -> tuple[float, ...]:
    """Return a weight for each class: "balanced", a mapping from names or indices, or a sequence in their order.

    "balanced" weighs a class by samples / (classes * its samples), so that the mean over the training rows is 1.
    Raises ValueError for other classes, other numbers of them, and for weights that are negative or not finite.
    """
    names, shown = data.class_names, ", ".join(data.class_names[:8]) + (", ..." if len(data.class_names) > 8 else "")
    if data.task != "classes":
        raise ValueError(f"class_weights is about classes, which task {data.task!r} does not have: leave it out")
    if isinstance(class_weights, str):
        if class_weights != "balanced":
            raise ValueError(f"class_weights is {class_weights!r}: give 'balanced', or a weight for each class")
        counts = data.train.labels.cpu().bincount(minlength=len(names)).double()
        return tuple((counts.sum() / (len(names) * counts.clamp_min(1))).tolist())
    if isinstance(class_weights, Mapping):
        called = [names[key] if _is_index(key, names) else key for key in class_weights]
        given = dict(zip(called, class_weights.values(), strict=True))
        twice = next((key for key in called if called.count(key) > 1), None)
        if twice is not None:
            raise ValueError(f"class_weights has {twice!r} twice, by its name and by its index: give one of them")
        strange = next((key for key in given if key not in names), None)
        missing = next((name for name in names if name not in given), None)
        if strange is not None or missing is not None:
            fault = f"has {strange!r}, which is no class" if strange is not None else f"lacks {missing!r}"
            raise ValueError(f"class_weights {fault}: give a weight to each of {shown}")
        class_weights = [given[name] for name in names]
    weights = check_finite(class_weights, "class_weights").double().cpu()
    if weights.shape != (len(names),):
        raise ValueError(f"class_weights has shape {tuple(weights.shape)}: give one number for each of {shown}")
    if (weights < 0).any() or not weights.any():
        raise ValueError(f"class_weights reach down to {float(weights.min()):g}: give 0 or more, not all of them 0")
    return tuple(weights.tolist())


def _is_index(key: Any, names: tuple[str, ...]) -> bool:
    return isinstance(key, int) and not isinstance(key, bool) and 0 <= key < len(names)


def rows_of(data: Any, like: tuple[InputForm, Task, tuple[str, ...]]) -> Samples:
    """Return the samples to evaluate on: those of a pair (inputs, labels), of a loader or of a Hugging Face dataset.

    They are all of them; of a dict of datasets those of test.
    Raises ValueError for inputs of another form, and for labels of other classes.
    """
    form, task, names = like
    if isinstance(data, Samples):
        return data
    if isinstance(data, tuple) and len(data) == 2:
        inputs, labels = data
        return read_rows(inputs, labels, form, task, names, by_name=True)
    if is_dataset(data):
        return rows_of_dataset(data, form, task, names)
    samples = [read_rows(*pair_of(batch, "data"), form, task, names) for batch in data]
    if not samples:
        raise ValueError("data has no batches: give at least one")
    return Samples(torch.cat([part.pixels for part in samples]), torch.cat([part.labels for part in samples]))


def _pair(inputs: Any, labels: Any, *, seed: int) -> Splits:
    whole = from_arrays(inputs, labels, test_images=inputs, test_labels=labels, seed=seed)
    return replace(whole, test=whole.validation, note=f"{whole.name}, without a test split of its own")
