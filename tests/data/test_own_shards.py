"""A user's own parquet files: labels that are missing or odd are refused, with the value."""

import io
from pathlib import Path

import datasets
import pandas
import pytest
from PIL import Image

from onward.data import own_shards, read_own_labeled
from onward.data.own_shards import read_own


def shards(folder: Path, labels: list) -> tuple[list[Path], list[Path], list[Path]]:
    content = io.BytesIO()
    Image.new("L", (4, 4)).save(content, "PNG")
    frame = pandas.DataFrame({"image": [content.getvalue()] * len(labels), "label": pandas.array(labels, dtype=object)})
    frame.to_parquet(folder / "part.parquet")
    found = own_shards(folder)
    assert found is not None
    return found


@pytest.mark.parametrize("labels", [[None, 0, 1, 1], [None, "a", "b", "b"]])
def test_a_missing_label_is_refused(labels: list, tmp_path: Path):
    files = shards(tmp_path, labels)
    with pytest.raises(ValueError, match=r"part\.parquet has the label None: give numbers from 0, or texts, to all"):
        read_own(files, size=None)
    with pytest.raises(ValueError, match=r"part\.parquet has the label None, but the classes are a, b"):
        read_own_labeled(files, ("a", "b"), channels=1, size=(4, 4))


def _write(path: Path, names: list[str] | None, labels: list) -> None:
    content = io.BytesIO()
    Image.new("L", (4, 4)).save(content, "PNG")
    kind = datasets.Value("string") if names is None else datasets.ClassLabel(names=names)
    made = datasets.Dataset.from_dict(
        {"image": [{"bytes": content.getvalue(), "path": None}] * len(labels), "label": labels},
        features=datasets.Features({"image": datasets.Image(), "label": kind}),
    )
    made.to_parquet(path)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ((["dark", "light"], [0, 1, 1, 0]), (["light", "dark"], [1, 0])),
        ((None, ["dark", "light", "light", "dark"]), (["light", "dark"], [1, 0])),
        ((["light", "dark"], [1, 0, 0, 1]), (None, ["dark", "light"])),
    ],
)
def test_labels_of_files_that_number_their_classes_differently_are_those_of_their_names(train, test, tmp_path: Path):
    _write(tmp_path / "train-0.parquet", *train)
    _write(tmp_path / "test-0.parquet", *test)
    files = own_shards(tmp_path)
    assert files is not None
    read = read_own(files, size=None)
    assert [read.class_names[k] for k in read.train.labels] == ["dark", "light", "light", "dark"]
    assert [read.class_names[k] for k in read.test.labels] == ["dark", "light"]
