"""Arrays in files: .npz by the names of its arrays, idx files as MNIST has them, and damaged ones refused by name."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from onward.core import InputForm
from onward.data import DataSettings, array_files, load, rows_in
from onward.data.array_files import read_idx

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 6, 6)).astype(np.uint8)
LABELS = np.arange(40) % 4


def _idx(path: Path, array: np.ndarray, kind: int = 8) -> Path:
    head = struct.pack(">HBB", 0, kind, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = head + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def _mnist(folder: Path, ending: str = "", *, prefix: str = "") -> Path:
    for split, rows in (("train", slice(0, 28)), ("t10k", slice(28, 40))):
        _idx(folder / f"{prefix}{split}-images-idx3-ubyte{ending}", IMAGES[rows])
        _idx(folder / f"{prefix}{split}-labels-idx1-ubyte{ending}", LABELS[rows].astype(np.uint8))
    return folder


def _load(path: Path, **more):
    return load(DataSettings(name=str(path), **more))


@pytest.mark.parametrize(
    ("below", "ending", "prefix"),
    [("", "", ""), ("", ".gz", ""), ("KMNIST/raw", "", ""), ("raw", ".gz", "emnist-mnist-")],
)
def test_idx_files_are_found_where_they_are_and_keep_their_split(tmp_path, below, ending, prefix):
    _mnist(tmp_path / below, ending, prefix=prefix)
    data = _load(tmp_path)
    assert data.class_names == ("0", "1", "2", "3") and data.shape == (1, 6, 6)
    assert torch.equal(data.test.pixels[:, 0], torch.from_numpy(IMAGES[28:]))
    assert data.test.labels.tolist() == LABELS[28:].tolist()
    assert len(data.train) + len(data.validation) == 28 and data.train.pixels.dtype == torch.uint8


@pytest.mark.parametrize(("kind", "dtype"), [(9, "i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")])
def test_every_type_of_an_idx_file_is_read(tmp_path, kind, dtype):
    values = np.arange(-6, 6).reshape(3, 4)
    assert np.array_equal(read_idx(_idx(tmp_path / "x", values.astype(dtype), kind)), values)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read as an idx file"),
        (b"\x89PNG....", "cannot be read as an idx file .*does not begin as one"),
        (struct.pack(">HBBII", 0, 8, 2, 3, 4) + b"x" * 11, r"\(3, 4\) values, 12 bytes, but has 11"),
        (struct.pack(">HBBII", 0, 8, 2, 3, 4) + b"x" * 13, "but has more"),
        (struct.pack(">HBBII", 0, 8, 2, 2**32 - 1, 2**32 - 1) + b"x", "but has 0"),
    ],
)
def test_damaged_idx_files_are_refused_by_name(tmp_path, content, message):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ValueError, match=f"x .*{message}"):
        read_idx(tmp_path / "x")
    (tmp_path / "y.gz").write_bytes(gzip.compress(content)[:-4])
    with pytest.raises(ValueError, match=r"y\.gz "):
        read_idx(tmp_path / "y.gz")


def test_idx_files_that_are_not_all_there_are_refused(tmp_path):
    folder = _mnist(tmp_path / "a")
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(ValueError, match="has the images of test, t10k-images-idx3-ubyte, but no labels"):
        _load(folder)
    _mnist(_mnist(tmp_path / "b"), prefix="emnist-letters-")
    with pytest.raises(ValueError, match="idx files of 2 sets"):
        _load(tmp_path / "b")


ARCHIVES = {
    "keras": {"x_train": IMAGES[:28], "y_train": LABELS[:28], "x_test": IMAGES[28:], "y_test": LABELS[28:]},
    "medmnist": {
        "train_images": IMAGES[:20],
        "train_labels": LABELS[:20, None],
        "val_images": IMAGES[20:28],
        "val_labels": LABELS[20:28, None],
        "test_images": IMAGES[28:],
        "test_labels": LABELS[28:, None],
    },
    "one": {"X": IMAGES, "y": LABELS},
    "colored": {"images": np.repeat(IMAGES[..., None], 3, axis=3), "labels": np.array(["a", "b", "c", "d"])[LABELS]},
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_archives_are_understood_by_the_names_of_their_arrays(tmp_path, kind):
    np.savez(tmp_path / "set.npz", **ARCHIVES[kind])
    data = _load(tmp_path / "set.npz")
    assert data.name == "set" and data.num_classes == 4
    assert len(data.train) + len(data.validation) + len(data.test) == 40
    if kind in ("keras", "medmnist"):
        assert torch.equal(data.test.pixels[:, 0], torch.from_numpy(IMAGES[28:]))
    if kind == "medmnist":
        assert torch.equal(data.validation.pixels[:, 0], torch.from_numpy(IMAGES[20:28]))
    assert _load(tmp_path / "set.npz", size=12).shape == (3 if kind == "colored" else 1, 12, 12)


def test_arrays_with_validation_and_no_test_are_split_with_a_warning(tmp_path):
    parts = {"x_train": IMAGES[:30], "y_train": LABELS[:30], "x_val": IMAGES[30:], "y_val": LABELS[30:]}
    np.savez(tmp_path / "set.npz", **parts)
    with pytest.warns(UserWarning, match="validation split but no test split"):
        data = _load(tmp_path / "set.npz")
    assert torch.equal(data.validation.pixels[:, 0], torch.from_numpy(IMAGES[30:]))
    assert len(data.train) + len(data.test) == 30


def test_a_carved_test_split_does_not_follow_the_seed_of_the_splits(tmp_path):
    np.savez(tmp_path / "set.npz", IMAGES, LABELS)  # arr_0 and arr_1
    one, other = (_load(tmp_path / "set.npz", split_seed=seed) for seed in (0, 1))
    assert torch.equal(one.test.pixels, other.test.pixels)
    assert not torch.equal(one.validation.pixels, other.validation.pixels)


def test_wide_numbers_keep_their_precision(tmp_path):
    deep = IMAGES.astype(np.uint16) * 200
    np.savez(tmp_path / "deep.npz", images=deep, labels=LABELS)
    data = _load(tmp_path / "deep.npz")
    assert len(data.train.pixels.unique()) > 240 and float(data.train.pixels.max()) == pytest.approx(51000 / 65535)
    with pytest.raises(ValueError, match=r"no 8-bit images: leave --data\.size out"):
        _load(tmp_path / "deep.npz", size=8)


def test_an_array_beside_them_is_warned_about(tmp_path):
    np.savez(tmp_path / "set.npz", images=IMAGES, labels=LABELS, mean_of_all=IMAGES.mean())
    with pytest.warns(UserWarning, match="mean_of_all in .*set.npz is not used"):
        _load(tmp_path / "set.npz")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"foo": IMAGES, "bar": LABELS}, "holds foo, bar: call them images and labels"),
        ({"images": IMAGES}, "call them images and labels"),
        ({"x": IMAGES, "images": IMAGES, "y": LABELS}, "x and images are both inputs of train"),
        ({"x_test": IMAGES, "y_test": LABELS}, "call them images and labels"),
        ({"x": np.array([{}, None]), "y": LABELS}, "holds Python objects"),
        ({"x": IMAGES, "y": LABELS[:3]}, r"inputs of shape \(40, 6, 6\) and labels of shape \(3,\)"),
        ({"x": IMAGES, "y": np.eye(4)[LABELS]}, "one-hot"),
        (
            {"x": IMAGES, "y": LABELS / 3},
            "set.npz holds numbers, and files of arrays .*: save rows of one number as .csv",
        ),
        ({"x": IMAGES, "y": 1 - np.eye(4)[LABELS]}, "set.npz holds several labels of a row, .* train in Python"),
    ],
)
def test_archives_that_are_not_understood_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        _load(tmp_path / "set.npz")


def test_no_archive_and_a_damaged_one_are_refused_by_name(tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(ValueError, match=r"text.npz is no archive of arrays"):
        _load(tmp_path / "text.npz")
    with pytest.raises(ValueError, match=r"gone.npz is no file of arrays"):
        _load(tmp_path / "gone.npz")
    np.savez_compressed(tmp_path / "cut.npz", images=IMAGES, labels=LABELS)
    content = bytearray((tmp_path / "cut.npz").read_bytes())
    content[200:260] = bytes(60)
    (tmp_path / "cut.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"cut.npz cannot be read"):
        _load(tmp_path / "cut.npz")


def test_rows_to_evaluate_on_are_those_of_the_test_split(tmp_path):
    _mnist(tmp_path)
    files = array_files(tmp_path)
    assert files is not None
    names = ("0", "1", "2", "3")
    rows = rows_in(files, InputForm("images", (1, 6, 6), unit=True), "classes", names)
    assert torch.equal(rows.pixels[:, 0], torch.from_numpy(IMAGES[28:]))
    assert rows_in(files, InputForm("images", (1, 3, 3), unit=True), "classes", names).shape == (1, 3, 3)
    with pytest.raises(ValueError, match="is 3: classes are numbered"):
        rows_in(files, InputForm("images", (1, 6, 6), unit=True), "classes", names[:3])


def test_classes_called_by_numbers_are_meant_by_numbers_in_every_split(tmp_path: Path):
    names, later = np.array(list("1234"))[LABELS], tmp_path / "later.npz"
    np.savez(tmp_path / "a.npz", x_train=IMAGES, y_train=names, x_test=IMAGES[:4], y_test=LABELS[:4] + 1)
    data = _load(tmp_path / "a.npz")
    assert data.test.labels.tolist() == LABELS[:4].tolist()
    np.savez(later, x=IMAGES[:4], y=LABELS[:4] + 1)
    files = array_files(later)
    assert files is not None
    assert rows_in(files, data.inputs, "classes", data.class_names).labels.tolist() == LABELS[:4].tolist()
    np.savez(later, x=IMAGES[:3], y=LABELS[:3] + 1)
    files = array_files(later)
    assert files is not None
    with pytest.raises(ValueError, match="which may be the classes called 1, 2, 3, 4 or their indices"):
        rows_in(files, data.inputs, "classes", data.class_names)
