"""from_arrays: every accepted layout gives the same pixels, everything else says what to do."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from onward.data import from_arrays

LABELS = np.arange(30) % 3


def grey(count: int = 30, side: int = 5) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side), dtype=np.uint8)


def together(made) -> set[bytes]:
    return {image.numpy().tobytes() for part in (made.train, made.validation, made.test) for image in part.pixels}


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["NHW", "NCHW", "NHWC"]),
    st.sampled_from([1, 3]),
    st.sampled_from(["uint8", "float16", "float32", "float64", ">f4"]),
    st.booleans(),
    st.integers(4, 7),
    st.integers(4, 7),
)
def test_layouts_and_dtypes_agree(layout, channels, dtype, as_torch, height, width):
    channels = 1 if layout == "NHW" else channels
    pixels = np.random.default_rng(1).integers(0, 256, (30, channels, height, width), dtype=np.uint8)
    given_as = {"NHW": pixels[:, 0], "NCHW": pixels, "NHWC": pixels.transpose(0, 2, 3, 1)}[layout]
    given_as = given_as if dtype == "uint8" else (given_as / 255).astype(dtype)
    if as_torch:
        given_as = torch.from_numpy(np.ascontiguousarray(given_as.astype(given_as.dtype.newbyteorder("="))))
    made = from_arrays(given_as, LABELS)
    assert made.shape == (channels, height, width)
    assert together(made) == {image.tobytes() for image in pixels}
    assert (len(made.train), len(made.validation), len(made.test)) == (21, 3, 6)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.integers(0, 99))
def test_any_labels_either_split_cleanly_or_are_refused(labels, seed):
    array = np.array(labels)
    counts = np.bincount(array)
    pixels = np.arange(len(array), dtype=np.uint8)[:, None, None].repeat(4, 1).repeat(4, 2)
    try:
        made = from_arrays(pixels, array, seed=seed)
    except ValueError:
        assert counts.min() < 3 or len(counts) < 2
        return
    assert counts.min() >= 3 and len(counts) >= 2
    for part in (made.train, made.validation, made.test):
        assert part.labels.tolist() == array[part.pixels[:, 0, 0, 0].long().numpy()].tolist()
        assert set(part.labels.tolist()) == set(labels)
    assert len(together(made)) == len(array)


def test_same_seed_same_splits():
    first, again, other = (from_arrays(grey(), LABELS, seed=seed) for seed in (4, 4, 5))
    assert torch.equal(first.test.pixels, again.test.pixels) and first.checksum == again.checksum
    assert not torch.equal(first.test.pixels, other.test.pixels)


def test_given_test_arrays_are_the_test_split():
    made = from_arrays(grey(), LABELS, test_images=grey(7), test_labels=LABELS[:7], validation_fraction=0.2)
    assert torch.equal(made.test.pixels[:, 0], torch.from_numpy(grey(7)))
    assert len(made.train) == 24 and len(made.validation) == 6


def test_the_seed_decides_validation_too():
    first, other = (from_arrays(grey(), LABELS, test_images=grey(3), test_labels=LABELS[:3], seed=k) for k in (0, 1))
    assert not torch.equal(first.validation.pixels, other.validation.pixels)
    assert torch.equal(first.test.pixels, other.test.pixels)


def test_floats_become_the_nearest_grey_level():
    floats = np.zeros((30, 1, 2))
    floats[:] = [0.4999 / 255, 254.6 / 255]
    assert from_arrays(floats, LABELS).train.pixels[0].flatten().tolist() == [0, 255]


def test_the_arrays_stay_the_callers_own():
    images, test = grey(), torch.from_numpy(grey(6))
    made = from_arrays(images, LABELS, test_images=test, test_labels=LABELS[:6])
    digest = made.test.pixels.sum()
    images[:], test[:] = 0, 0
    assert made.train.pixels.sum() > 0 and made.test.pixels.sum() == digest


def test_class_names_allow_a_class_without_images():
    made = from_arrays(grey(), LABELS * 2, class_names=("a", "b", "c", "d", "e"))
    assert made.num_classes == 5


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (grey().reshape(30, 25), r"reshape it to \[N, H, W\]"),
        (grey().astype(np.float32), r"float images must lie in \[0, 1\] but reaches from 0 to 255: divide"),
        (grey() / 255 * 16, r"to 16: divide by the largest possible value, for example images / 16"),
        (grey() / 255 - 0.5, "shift and scale"),
        (np.where(grey() == grey()[0, 0, 0], np.nan, 0.5), "NaN"),
        (grey().astype(np.int64), "torch.int64: convert it to uint8"),
        (np.zeros((30, 5, 5, 4), dtype=np.uint8), "C = 1 or 3"),
        (np.zeros((30, 5, 0), dtype=np.uint8), "empty"),
        (grey(29), "29 entries but there are 30 labels"),
        (np.full((30, 5, 5), "x"), "dtype <U1"),
    ],
)
def test_images_refused(images, message):
    with pytest.raises(ValueError, match=message):
        from_arrays(images, LABELS)


def changed(position: int, value: int) -> np.ndarray:
    labels = LABELS.copy()
    labels[position] = value
    return labels


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        (changed(7, -1), None, r"labels\[7\] is -1"),
        (changed(8, 3), ("a", "b", "c"), r"labels\[8\] is 3: classes are numbered 0..2"),
        (LABELS + 0.5, None, r"labels\[0\] is 0.5"),
        (LABELS == 1, None, "must be integers"),
        (np.eye(3, dtype=np.int64)[LABELS], None, "one class index per image"),
        (np.array(["cat"] * 30), None, "class indices 0, 1, 2"),
        (LABELS * 2, None, "no image has label 1"),
        (LABELS * 0, None, "two or more"),
        (changed(9, 3), None, "class '3' has a single image"),
    ],
)
def test_labels_refused(labels, names, message):
    with pytest.raises(ValueError, match=message):
        from_arrays(grey(), labels, class_names=names)


def test_half_a_test_set_is_refused():
    with pytest.raises(ValueError, match="test_labels is missing"):
        from_arrays(grey(), LABELS, test_images=grey(3))
    with pytest.raises(ValueError, match=r"test_labels\[1\] is 9"):
        from_arrays(grey(), LABELS, test_images=grey(3), test_labels=np.array([0, 9, 1]))
