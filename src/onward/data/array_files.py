"""Arrays in files: NumPy's .npz, and the idx files that MNIST and its relatives come in."""
# N rows

import gzip
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from onward.core import InputForm, Task, class_indices

from .arrays import from_arrays, names_of, read_rows
from .carve import carve, warn_without_test
from .decode import resize
from .images import Splits
from .samples import Samples, as_read, images_of
from .source_files import cause, stamp

Split = Literal["train", "test", "validation"]
Pair = tuple[np.ndarray, np.ndarray]
"""Inputs and labels."""

TEST_FRACTION = 0.2

_INPUTS = ("images", "image", "x", "data", "inputs", "input", "features", "pixels")
_LABELS = ("labels", "label", "y", "targets", "target", "classes")
_SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "t10k": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
}
_IDX = re.compile(
    r"(?P<set>.*?)(?P<split>train|t10k|test|val|validation)-(?P<what>images|labels)[-.]idx\d-ubyte(\.gz)?"
)
_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


@dataclass(frozen=True)
class ArrayFiles:
    """Files that hold arrays: one .npz, or idx files by split, images first."""

    root: Path
    archive: Path | None = None
    idx: dict[Split, tuple[Path, Path]] | None = None

    def read(self) -> dict[Split, Pair]:
        """Return inputs and labels of each split. Raises ValueError naming the file at fault and what to do."""
        parts: dict[Split, Pair] = {}
        if self.archive is not None:
            parts = _archive(self.archive)
        for split, (images, labels) in ({} if self.idx is None else self.idx).items():
            parts[split] = read_idx(images), read_idx(labels)
        for split, (inputs, labels) in parts.items():
            if not inputs.ndim or not labels.ndim or len(inputs) != len(labels):
                raise ValueError(
                    f"{self.root} has inputs of shape {inputs.shape} and labels of shape {labels.shape} for {split}: "
                    "give one label for each input"
                )
        return parts


def array_files(root: Path) -> ArrayFiles | None:
    """Return the arrays of a path, which may be in raw/ or NAME/raw/ below it; None if there are none.

    Raises ValueError for files of several sets, and for images without labels.
    """
    if root.suffix == ".npz":
        if root.is_dir() or not root.exists():
            raise ValueError(f"{root} is no file of arrays: name one that numpy.savez wrote, or a folder of images")
        return ArrayFiles(root, archive=root)
    if not root.is_dir():
        return None
    for folder in (root, root / "raw", *sorted(root.glob("*/raw"))):
        files = _idx_files(folder) if folder.is_dir() else None
        if files is not None:
            return ArrayFiles(root, idx=files)
    archives = sorted(root.glob("*.npz"))
    return ArrayFiles(root, archive=archives[0]) if len(archives) == 1 and len(list(root.iterdir())) == 1 else None


def splits_of(files: ArrayFiles, *, size: int | None, fraction: float, seed: int) -> Splits:
    """Return splits of arrays; `size` is the side in pixels that 8-bit images are brought to.

    Without a test split one is carved that no setting ever moves; without a validation split a `fraction` of the rest.
    Raises ValueError as `from_arrays` does.
    """
    parts = files.read()
    _check_classes(parts["train"][1], files.root)
    names = names_of(parts["train"][1], "classes", None)
    if "test" not in parts:
        if "validation" in parts:
            warn_without_test(files.root)
        inputs, labels = parts["train"]
        targets = class_indices(labels, names, "labels")
        kept, aside = (part.numpy() for part in carve(targets, TEST_FRACTION, 0, class_names=names))
        parts |= {"train": (inputs[kept], labels[kept]), "test": (inputs[aside], labels[aside])}
    given: dict[str, Any] = {}
    for split in ("test", "validation"):
        if split in parts:
            inputs, labels = parts[split]
            given |= {f"{split}_images": _sized(inputs, size, files.root), f"{split}_labels": labels}
    inputs, labels = parts["train"]
    return from_arrays(
        _sized(inputs, size, files.root),
        labels,
        class_names=names,
        validation_fraction=fraction,
        seed=seed,
        name=files.root.resolve().stem,
        **given,
    )


def rows_in(files: ArrayFiles, form: InputForm, task: Task, names: Sequence[str]) -> Samples:
    """Return the samples to evaluate on, of the form that others have: the test split where there is one, else all."""
    parts = files.read()
    inputs, labels = parts.get("test", parts["train"])
    return read_rows(_fitted(inputs, form, files.root), labels, form, task, names, by_name=True)


def inputs_to_predict(files: ArrayFiles, form: InputForm) -> Samples:
    """Return inputs of the form that a training had, with or without labels beside them: of test where there is one.

    Raises ValueError for inputs of another form.
    """
    if files.archive is None:
        parts = files.read()
        inputs = parts.get("test", parts["train"])[0]
    else:
        stored = _arrays(files.archive, lambda keys: _inputs_of(keys, files.root))
        inputs = next(iter(stored.values()))
    checked = form.check(_fitted(inputs, form, files.root), str(files.root))
    rows = as_read(checked, form)
    return images_of(rows, torch.zeros(len(rows)).long()) if form.unit else Samples(rows, torch.zeros(len(rows)).long())


def _fitted(inputs: np.ndarray, form: InputForm, root: Path) -> np.ndarray | Shaped[Tensor, "N ..."]:
    """Return 8-bit images at the size that a training had."""
    return _sized(inputs, form.shape[-1], root) if form.unit and inputs.dtype == np.uint8 else inputs


def _inputs_of(keys: list[str], file: Path) -> list[str]:
    if len(keys) == 1:
        return keys
    pairs = _keys_by_split(keys, file)
    return [pairs.get("test", pairs["train"])[0]]


def read_idx(file: Path) -> np.ndarray:
    """Return the array of an idx file, which may be compressed by gzip. Raises ValueError naming it."""
    stamp(file)
    try:
        with gzip.open(file) if file.suffix == ".gz" else open(file, "rb") as content:
            *zeros, kind, rank = content.read(4).rjust(4, b"?")
            if any(zeros) or kind not in _TYPES or not rank:
                raise EOFError("it does not begin as one")
            shape = struct.unpack(f">{rank}I", content.read(4 * rank))
            dtype = np.dtype(_TYPES[kind])
            wanted = int(np.prod(shape, dtype=np.float64)) * dtype.itemsize
            held = content.read(wanted + 1) if wanted < 2**40 else b""
    except (OSError, EOFError, struct.error, zlib.error) as error:
        raise ValueError(f"{file} cannot be read as an idx file ({cause(error)}): copy it again") from None
    if len(held) != wanted:
        other = "more" if len(held) > wanted else f"{len(held):,}"
        raise ValueError(f"{file} declares {shape} values, {wanted:,} bytes, but has {other}: copy it again")
    return np.frombuffer(held, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _idx_files(folder: Path) -> dict[Split, tuple[Path, Path]] | None:
    files_of: dict[tuple[str, Split], dict[str, Path]] = {}
    for file in sorted(folder.iterdir(), reverse=True):  # so that a file comes before its compressed copy
        match = _IDX.fullmatch(file.name)
        if match is not None:
            files_of.setdefault((match["set"], _SPLITS[match["split"]]), {})[match["what"]] = file
    if not files_of:
        return None
    sets = sorted({name for name, _ in files_of})
    if len(sets) > 1:
        raise ValueError(
            f"{folder} has the idx files of {len(sets)} sets ({', '.join(f'{n}...' for n in sets)}): give each a folder"
        )
    for (_, split), files in files_of.items():
        if len(files) < 2:
            here, missing = ("images", "labels") if "images" in files else ("labels", "images")
            raise ValueError(f"{folder} has the {here} of {split}, {files[here].name}, but no {missing}: add that file")
    if (sets[0], "train") not in files_of:
        raise ValueError(f"{folder} has no training images (train-images-idx3-ubyte): add them, or rename them")
    return {split: (files["images"], files["labels"]) for (_, split), files in files_of.items()}


def _archive(file: Path) -> dict[Split, Pair]:
    keys_of: dict[Split, tuple[str, str]] = {}

    def chosen(names: list[str]) -> list[str]:
        keys_of.update(_keys_by_split(names, file))
        return [key for pair in keys_of.values() for key in pair]

    arrays = _arrays(file, chosen)
    return {split: (arrays[images], _flat(arrays[labels])) for split, (images, labels) in keys_of.items()}


def _arrays(file: Path, chosen: Callable[[list[str]], list[str]]) -> dict[str, np.ndarray]:
    """Return the arrays that are chosen by their names. Raises ValueError naming the file and the remedy."""
    stamp(file)
    if not zipfile.is_zipfile(file):
        raise ValueError(f"{file} is no archive of arrays: save it again with numpy.savez")
    try:
        with np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in chosen(list(archive.files))}
    except ValueError as error:
        if str(error).startswith(str(file)):
            raise
        if "allow_pickle" in str(error):
            raise ValueError(f"{file} holds Python objects, which are not read: save arrays of one type") from None
        raise ValueError(f"{file} cannot be read ({cause(error)}): save it again with numpy.savez") from None
    except (OSError, EOFError, LookupError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{file} cannot be read ({cause(error)}): save it again with numpy.savez") from None


def _keys_by_split(keys: list[str], file: Path) -> dict[Split, tuple[str, str]]:
    """Return the names of the two arrays of each split. Raises ValueError where they are not clear."""
    if keys == ["arr_0", "arr_1"]:
        return {"train": ("arr_0", "arr_1")}
    message = (
        f"{file} holds {', '.join(keys)[:200]}: call them images and labels, or x_train, y_train, x_test and y_test"
    )
    keys_of: dict[Split, dict[str, str]] = {}
    unknown = []
    for key in keys:
        words = re.findall(r"[a-z0-9]+", key.lower())
        splits: list[Split] = [_SPLITS[word] for word in words if word in _SPLITS]
        what = ["inputs" if word in _INPUTS else "labels" for word in words if word in _INPUTS + _LABELS]
        if len(splits) > 1 or len(what) != 1 or len(words) != len(splits) + 1:
            unknown.append(key)
            continue
        split = splits[0] if splits else "train"
        if keys_of.setdefault(split, {}).setdefault(what[0], key) != key:
            raise ValueError(f"{message} ({keys_of[split][what[0]]} and {key} are both {what[0]} of {split})")
    if "train" not in keys_of or any(len(pair) < 2 for pair in keys_of.values()):
        raise ValueError(message)
    if unknown:
        warnings.warn(f"{', '.join(unknown)[:200]} in {file} is not used", stacklevel=5)
    return {split: (pair["inputs"], pair["labels"]) for split, pair in keys_of.items()}


def _check_classes(labels: np.ndarray, root: Path) -> None:
    """Raise ValueError, with the ways to learn them, for labels that are numbers or several in a row."""
    numbers = labels.dtype.kind == "f" and bool((labels % 1 != 0).any())
    several = labels.ndim == 2 and not bool(((labels != 0).sum(axis=1) == 1).all())
    if numbers or several:
        raise ValueError(
            f"{root} holds {'numbers' if numbers else 'several labels of a row'}, and files of arrays are learned as "
            "one class of each: save rows of one number as .csv, or train in Python, onward.fit on "
            "onward.from_arrays(inputs, labels, task='values' or 'labels')"
        )


def _flat(labels: np.ndarray) -> np.ndarray:
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels


def _sized(inputs: np.ndarray, size: int | None, root: Path) -> np.ndarray | Shaped[Tensor, "N ..."]:
    """Return 8-bit images brought to `size` pixels, and all else as it is. Raises ValueError where it has to differ."""
    if size is None or not len(inputs):
        return inputs
    color = inputs.ndim == 4 and 3 in (inputs.shape[1], inputs.shape[3])
    sides = inputs.shape[1:3] if inputs.ndim == 3 or inputs.shape[-1] in (1, 3) else inputs.shape[-2:]
    if set(sides) == {size}:
        return inputs
    if inputs.dtype != np.uint8 or inputs.ndim not in (3, 4) or not (color or inputs.ndim == 3 or 1 in inputs.shape):
        raise ValueError(f"{root} holds {inputs.dtype} of shape {inputs.shape}, no 8-bit images: leave --data.size out")
    pixels = torch.from_numpy(inputs)
    if inputs.ndim == 3:
        pixels = pixels[:, None]
    elif inputs.shape[1] not in (1, 3):
        pixels = pixels.permute(0, 3, 1, 2)
    return resize(pixels, size)
