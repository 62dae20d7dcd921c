"""Data from Hugging Face datasets: columns by name, with their class names and splits."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from onward.core import InputForm, Kind, Task, check_value, common_defaults, is_frame

from .arrays import from_arrays, read_rows
from .decode import DEEP_MODES, as_fractions, opaque, to_array
from .images import Splits
from .samples import Samples

_TEST, _VALIDATION = ("test",), ("validation", "valid", "val", "dev")


@common_defaults()
def from_dataset(
    dataset: Any,
    inputs: str | Sequence[str] | None = None,
    target: str | Sequence[str] | None = None,
    *,
    kind: Kind | None = None,
    task: Task = "classes",
    size: int | None = None,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.2,
    seed: int = 0,
    name: str = "dataset",
) -> Splits:
    """Splits from a `datasets.Dataset`, or from a `DatasetDict` with train, and validation and test where it has them.

    `inputs` names one column of images, arrays or tokens, or several columns of a table; `target` the label, or several
    columns of numbers. Left out, the target is the only column of class labels, or the one called label, and the
    inputs are all others. Images are brought to `size` pixels, which is needed where they differ. Raises ValueError for
    columns that are not there, for a target among the inputs, and as `from_arrays` does.
    """
    parts = dict(dataset) if isinstance(dataset, Mapping) else {"train": dataset}
    if "train" not in parts:
        raise ValueError(f"the dataset has the splits {', '.join(map(str, parts))}, but no train: rename one of them")
    train = parts["train"]
    if not hasattr(train, "column_names") or not hasattr(train, "features"):
        raise ValueError(f"dataset is a {type(train).__name__}: give a datasets.Dataset or DatasetDict")
    if not hasattr(train, "__len__"):
        raise ValueError("the dataset is a stream: take a part of it, or give a loader to onward.from_loader")
    wanted = _target(train, target)
    taken = _inputs(train, inputs, wanted)
    check_value("size", size, int | None)
    names = _class_names(train, wanted) if task == "classes" else None
    given: dict[str, Any] = {}
    for split, called in (("test", _TEST), ("validation", _VALIDATION)):
        part = next((parts[each] for each in called if each in parts), None)
        if part is not None:
            _check_split(part, [*taken, *wanted], split)
            given |= {
                f"{split}_images": _read(part, taken, size),
                f"{split}_labels": _labels(part, wanted, task, names),
            }
    return from_arrays(
        _read(train, taken, size),
        _labels(train, wanted, task, names),
        kind=kind,
        task=task,
        class_names=names,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        seed=seed,
        name=name,
        **given,
    )


def rows_of_dataset(dataset: Any, form: InputForm, task: Task, names: Sequence[str]) -> Samples:
    """Return the rows of a dataset to evaluate on, of the form that a training had: of a dict, those of test.

    The columns are those of the training where they have names, else found as `from_dataset` does. Raises ValueError
    as it does, and for a dict without test.
    """
    parts = dict(dataset) if isinstance(dataset, Mapping) else {"test": dataset}
    if "test" not in parts:
        raise ValueError(f"the dataset has the splits {', '.join(map(str, parts))}, but no test: give one of them")
    part = parts["test"]
    wanted = [names[0]] if task == "values" and names[0] in part.column_names else _target(part, None)
    taken = _there(part.column_names, [column.name for column in form.columns]) if form.columns else None
    inputs = _read(part, taken or _inputs(part, None, wanted), form.shape[-1] if form.kind == "images" else None)
    if form.columns and not is_frame(inputs):
        inputs = part.with_format(None).select_columns(taken).to_pandas()
    return read_rows(inputs, _labels(part, wanted, task, names), form, task, names)


def is_dataset(data: Any) -> bool:
    """Whether something is a dataset of Hugging Face, or a dict of them."""
    first = next(iter(data.values()), None) if isinstance(data, Mapping) else data
    return hasattr(first, "column_names") and hasattr(first, "features")


def _target(dataset: Any, target: str | Sequence[str] | None) -> list[str]:
    columns = list(dataset.column_names)
    if target is None:
        labels = [name for name, feature in dataset.features.items() if type(feature).__name__ == "ClassLabel"]
        targets = labels if len(labels) == 1 else [name for name in columns if name in ("label", "labels", "target")]
        if len(targets) != 1:
            raise ValueError(f"which of the columns {', '.join(columns)} is to be predicted? name it with target=")
        return targets
    return _there(columns, target)


def _inputs(dataset: Any, inputs: str | Sequence[str] | None, target: list[str]) -> list[str]:
    columns = list(dataset.column_names)
    chosen = [name for name in columns if name not in target] if inputs is None else _there(columns, inputs)
    both = next((name for name in chosen if name in target), None)
    if both is not None:
        raise ValueError(f"the column {both!r} is the target, and cannot be learned from: leave it out of inputs")
    if not chosen:
        raise ValueError(f"no column is left to learn from beside {', '.join(target)}")
    return chosen


def _there(columns: list[str], names: str | Sequence[str]) -> list[str]:
    wanted = [names] if isinstance(names, str) else list(names)
    missing = next((name for name in wanted if name not in columns), None)
    if missing is not None:
        raise ValueError(f"the dataset has no column {missing!r}: it has {', '.join(columns)}")
    return wanted


def _class_names(dataset: Any, target: list[str]) -> tuple[str, ...] | None:
    names = getattr(dataset.features[target[0]], "names", None) if len(target) == 1 else None
    return tuple(names) if names else None


def _check_split(dataset: Any, columns: list[str], split: str) -> None:
    missing = next((name for name in columns if name not in dataset.column_names), None)
    if missing is not None:
        raise ValueError(
            f"the split {split} has no column {missing!r}, which train has: leave it out (dataset.pop), and a share of "
            "train is set aside in its place"
        )


def _labels(dataset: Any, target: list[str], task: Task, names: Sequence[str] | None) -> Any:
    """Return the entries of the target columns, [N] or [N, K].

    Class labels are numbered as `names` are, whose order may be another than that of the dataset's own ones. Numbers
    that the dataset has no names for, and names for which `names` are mere numbers, stay as they are.
    """
    columns = [dataset.with_format(None)[name][:] for name in target]
    if len(columns) > 1:
        return np.stack([np.asarray(column) for column in columns], axis=1)
    own, values = _class_names(dataset, target), columns[0]
    if own is None or task != "classes" or (names is not None and own[: len(names)] == tuple(names)):
        return values
    if names is not None and all(name.isdecimal() for name in names) and not set(own) & set(names):
        return values
    return [own[value] if isinstance(value, int) and 0 <= value < len(own) else value for value in values]


def _read(dataset: Any, inputs: list[str], size: int | None) -> Any:
    plain = dataset.with_format(None)
    if len(inputs) > 1:
        return plain.select_columns(inputs).to_pandas()
    feature = dataset.features[inputs[0]]
    if type(feature).__name__ == "Image":
        return _images(plain, inputs[0], size)
    values = plain[inputs[0]][:]
    if getattr(feature, "dtype", None) in ("string", "large_string"):
        raise ValueError(f"column {inputs[0]!r} holds texts: turn them into token ids of one length first")
    lengths = {len(value) for value in values if isinstance(value, list)}
    if len(lengths) > 1:
        raise ValueError(
            f"column {inputs[0]!r} has rows of {min(lengths)} to {max(lengths)} entries: cut or pad them to one length"
        )
    array = np.asarray(values)
    return array[:, None] if array.ndim == 1 else array


def _images(dataset: Any, column: str, size: int | None) -> np.ndarray:
    sides = (size, size) if size else None
    gray, arrays = True, []
    for row in range(len(dataset)):
        image = dataset[row][column]
        if image is None:
            raise ValueError(f"row {row} has no image in column {column!r}: leave such rows out, dataset.filter(...)")
        sides = sides or (image.height, image.width)
        if size is None and (image.height, image.width) != sides:
            raise ValueError(
                f"image {row} has {image.width}x{image.height} pixels, image 0 {sides[1]}x{sides[0]}: choose one size "
                "for all, for example size=32"
            )
        if image.mode in DEEP_MODES:
            image = as_fractions(image, f"image {row}")
        image = opaque(image)
        gray = gray and image.mode in ("1", "L", "F")
        arrays.append(to_array(image, channels=3, size=sides))
    if any(array.dtype == np.float32 for array in arrays):  # 16 bits of some, 8 of others
        arrays = [array if array.dtype == np.float32 else array.astype(np.float32) / 255 for array in arrays]
    stacked = np.stack(arrays)
    return stacked[:, :1] if gray else stacked
