"""load: digits, unknown names, settings, and the real sets where they are at hand."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from onward.data import DATA_SETS, DataSettings, load


def test_digits_are_scaled_and_complete():
    made = load(DataSettings())
    assert made.shape == (1, 8, 8) and made.name == "digits" and made.class_names == tuple("0123456789")
    images, labels = load_digits(return_X_y=True)
    scaled = np.rint(images * 255 / 16).astype(np.uint8)
    stored = sorted((image.tobytes(), int(label)) for image, label in zip(scaled, labels, strict=True))
    found = []
    for part in (made.train, made.validation, made.test):
        found += [(image.numpy().tobytes(), int(k)) for image, k in zip(part.pixels, part.labels, strict=True)]
    assert sorted(found) == stored
    assert abs(len(made.test) - 0.2 * len(stored)) <= 5


def test_digits_keep_their_test_split():
    first, other = load(DataSettings()), load(DataSettings(split_seed=5))
    assert torch.equal(first.test.pixels, other.test.pixels) and first.checksum == other.checksum
    again = load(DataSettings())
    assert torch.equal(first.train.pixels, again.train.pixels)
    assert not torch.equal(first.validation.pixels, other.validation.pixels)
    assert len(load(DataSettings(validation_fraction=0.3)).validation) == pytest.approx(0.3 * 1438, abs=5)
    # Results recorded on digits are comparable only while this stays the same.
    assert first.checksum.startswith(DIGITS)


DIGITS = "375eeace68c6"


def test_digits_can_be_enlarged():
    small, large = load(DataSettings()), load(DataSettings(size=16))
    assert large.shape == (1, 16, 16) and torch.equal(large.test.labels, small.test.labels)
    difference = large.test.pixels.float().mean((2, 3)) - small.test.pixels.float().mean((2, 3))
    assert difference.abs().max() < 8


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": 0}, "size of DataSettings must be .*, got 0"),
        ({"validation_fraction": 0.0}, "validation_fraction of .*, got 0.0"),
        ({"validation_fraction": 1.0}, "validation_fraction of .*, got 1.0"),
        ({"name": ""}, "name is empty"),
    ],
)
def test_settings_out_of_range(values, message):
    with pytest.raises(ValueError, match=message):
        DataSettings(**values)


def test_unknown_names_suggest_near_ones():
    with pytest.raises(
        ValueError, match=r"unknown data set 'cifar': did you mean .*cifar10.*choose one of digits, mnist"
    ):
        load(DataSettings(name="cifar"))
    with pytest.raises(ValueError, match=r"unknown data set 'zzz': choose one of .*imagenet, or the path"):
        load(DataSettings(name="zzz"))


def test_the_list_of_sets():
    assert [name for name, _ in DATA_SETS][:2] == ["digits", "mnist"] and len(DATA_SETS) == 9
    assert all(description and "\n" not in description for _, description in DATA_SETS)


def test_a_folder_in_the_working_directory_needs_no_slash(class_folders, monkeypatch):
    monkeypatch.chdir(class_folders({"cat": 4, "dog": 4}).parent)
    assert load(DataSettings(name="pets")).class_names == ("cat", "dog")


REAL = [
    ("mnist", (1, 28, 28), 60_000, (0.1307, 0.3081), ""),
    ("fashion_mnist", (1, 28, 28), 60_000, (0.2860, 0.3530), ""),
    ("cifar10", (3, 32, 32), None, (0.4914, 0.2470), None),
]


@pytest.mark.parametrize(("name", "shape", "count", "known", "note"), REAL, ids=[row[0] for row in REAL])
def test_real_sets(real_data, name, shape, count, known, note):
    made = load(DataSettings(name=name), data_dir=real_data)
    assert made.shape == shape and made.num_classes == 10 and len(made.test) == 10_000
    total = len(made.train) + len(made.validation)
    if count is None:
        count, note = total, "CIFAR-10, 40k train, batch 5 as test" if total == 40_000 else ""
    assert total == count and made.note == note and abs(len(made.validation) - count // 10) <= 10
    mean, std = made.channel_statistics()
    # The published statistics are those of the whole training set; nine tenths of it come within 0.002.
    assert mean[0] == pytest.approx(known[0], abs=2e-3) and std[0] == pytest.approx(known[1], abs=2e-3)
