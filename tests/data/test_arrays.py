"""from_arrays: every accepted layout gives the same pixels, everything else says what to do."""

import numpy as np
import pandas
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from onward.data import from_arrays

LABELS = np.arange(30) % 3


def gray(count: int = 30, side: int = 5) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side), dtype=np.uint8)


def together(made) -> set[bytes]:
    parts = [part.pixels for part in (made.train, made.validation, made.test)]
    levels = [part if part.dtype == torch.uint8 else (part * 255).round().to(torch.uint8) for part in parts]
    return {image.numpy().tobytes() for part in levels for image in part}


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
    first, again, other = (from_arrays(gray(), LABELS, seed=seed) for seed in (4, 4, 5))
    assert torch.equal(first.test.pixels, again.test.pixels) and first.checksum == again.checksum
    assert not torch.equal(first.test.pixels, other.test.pixels)


def test_given_test_arrays_are_the_test_split():
    made = from_arrays(gray(), LABELS, test_images=gray(7), test_labels=LABELS[:7], validation_fraction=0.2)
    assert torch.equal(made.test.pixels[:, 0], torch.from_numpy(gray(7)))
    assert len(made.train) == 24 and len(made.validation) == 6


def test_the_seed_decides_validation_too():
    first, other = (from_arrays(gray(), LABELS, test_images=gray(3), test_labels=LABELS[:3], seed=k) for k in (0, 1))
    assert not torch.equal(first.validation.pixels, other.validation.pixels)
    assert torch.equal(first.test.pixels, other.test.pixels)


@pytest.mark.parametrize("reach", [1.0, 1e-3, 2e-7, 300.0])
def test_floats_keep_their_precision(reach):
    images = np.random.default_rng(0).random((30, 4, 4)) * reach
    made = from_arrays(images, LABELS)
    assert len(made.train.pixels.unique()) == 21 * 16 and made.inputs.unit == (reach <= 1)
    found = torch.cat([part.pixels.flatten() for part in (made.train, made.validation, made.test)]).sort().values
    assert torch.equal(found, torch.from_numpy(images.astype("float32")).flatten().sort().values)


def test_the_arrays_stay_the_callers_own():
    images, test = gray(), torch.from_numpy(gray(6))
    made = from_arrays(images, LABELS, test_images=test, test_labels=LABELS[:6])
    digest = made.test.pixels.sum()
    images[:], test[:] = 0, 0
    assert made.train.pixels.sum() > 0 and made.test.pixels.sum() == digest


@pytest.mark.parametrize("setting", [{"validation_fraction": None}, {"test_fraction": "x"}, {"test_fraction": 1.0}])
def test_fractions_that_are_none_are_refused_by_name(setting, types_unchecked):
    with pytest.raises(ValueError, match=f"{next(iter(setting))} must be a number in"):
        from_arrays(gray(), LABELS, **setting)


@pytest.mark.parametrize("seed", [-1, 1.5, "1", 2**64, True])
def test_seeds_that_are_none_are_refused(seed, types_unchecked):
    with pytest.raises(ValueError, match=r"seed must be a whole number in \[0"):
        from_arrays(gray(), LABELS, seed=seed)


@pytest.mark.parametrize(
    "form",
    [
        list,
        lambda x: x.tolist() if x.ndim == 1 else [torch.from_numpy(image) for image in x],
        lambda x: [PIL.Image.fromarray(image) for image in x] if x.ndim == 3 else pandas.Series(x, index=range(9, 39)),
        lambda x: x[::-1].copy()[::-1],
        lambda x: pandas.array(x) if x.ndim == 1 else x,
    ],
)
def test_containers_of_all_kinds_agree(form):
    plain, other = from_arrays(gray(), LABELS), from_arrays(form(gray()), form(LABELS))
    assert plain.checksum == other.checksum


def test_a_tensor_that_needs_a_gradient_or_is_sparse_is_read():
    floats = torch.from_numpy(gray()).double() / 255
    plain = from_arrays(floats, LABELS).checksum
    assert from_arrays(floats.clone().requires_grad_(), LABELS).checksum == plain
    assert from_arrays(floats.to_sparse(), LABELS).checksum == plain


@pytest.mark.parametrize(
    "images",
    [
        np.random.default_rng(0).random((30, 12, 12)),
        np.random.default_rng(0).random((30, 12, 12)) * 0.05,
        gray() / 255,
        (gray() % 3 + 100) / 255,  # three gray levels, all of them kept
        gray() // 16 / 16,
        (gray() > 200).astype(float) + 1e-9 * gray() * (gray() <= 200),  # masks, interpolated
        np.full((30, 5, 5), 0.3) * (1 + 1e-8 * gray()),
        np.zeros((30, 5, 5)),
        (np.random.default_rng(0).random((30, 12, 12)) < 0.004).astype(float),
        np.where(
            np.random.default_rng(0).random((30, 12, 12)) < 0.05, np.random.default_rng(1).random((30, 12, 12)), 0
        ),
    ],
)
def test_ordinary_floats_are_taken(images):
    assert len(from_arrays(np.clip(images, 0, 1), LABELS).train)


def test_class_names_allow_a_class_without_images():
    made = from_arrays(gray(), LABELS * 2, class_names=("a", "b", "c", "d", "e"))
    assert made.num_classes == 5


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.where(np.arange(30)[:, None, None] > 27, np.nan, gray() / 255), r"images\[28\] holds NaN, as do 1 others"),
        (
            np.where(np.arange(30)[:, None, None] == 3, np.inf, gray() / 255),
            r"images\[3\] holds an infinite value: rep",
        ),
        (np.ma.masked_equal(gray(), gray()[0, 0, 0]), "masked entries"),
        ([np.zeros((5, 5)), np.zeros((5, 6))], "entries of different shapes"),
        ([torch.zeros(5, 5), torch.zeros(5, 6)], "entries of different shapes"),
        (None, "images is None"),
        (np.full((30, 5, 5), 1j), "dtype complex128"),
        (np.zeros((30, 5, 5, 4), dtype=np.uint8), "C = 1 or 3"),
        (np.zeros((30, 5, 0), dtype=np.uint8), "empty"),
        (np.arange(30), r"one dimension: .* images.reshape\(-1, 1\)"),
        (gray(29), "29 entries but there are 30 labels"),
        (np.full((30, 5, 5), "x"), r"dtype <U1, images\[0\] is x: give numbers"),
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
        (np.eye(3, dtype=np.int64)[LABELS], None, "one class index per image"),
        (np.array(["cat"] * 30), None, "two or more"),
        (LABELS * 2, None, "no image has label 1"),
        (LABELS + 1, None, "no image has label 0 though labels reach 3: give labels - 1"),
        (LABELS[:, None], None, r"for example labels\[:, 0\]"),
        (["cat", None] * 15, None, r"labels\[1\] is None among texts"),
        (["cat", "dog"] * 15, ("cat", "cow"), r"labels\[1\] is 'dog', which is none of the classes cat, cow"),
        (changed(4, -1).astype(np.uint32), None, r"labels\[4\] is 4294967295 though there are 30 labels"),
        (changed(4, -1).astype(np.uint64), None, r"labels\[4\] is 9223372036854775807 though there are 30 labels"),
        (changed(4, 2**40), None, "number the classes from 0"),
        (LABELS, ("a", "b", "a"), "class_names has 'a' 2 times"),
        (LABELS, ("a", "", "b"), r"class_names\[1\] is empty: give every class a name"),
        (LABELS, ("\u00e9", "e\u0301", "b"), "class_names has .* twice, .*two ways to write the same letters"),
        (LABELS, "abc", "a name for each class"),
        (LABELS, (1, 2, 3), "a name for each class"),
        (LABELS * 0, None, "two or more"),
        (changed(9, 3), None, "class '3' has a single sample"),
    ],
)
def test_labels_refused(labels, names, message, types_unchecked):
    with pytest.raises(ValueError, match=message):
        from_arrays(gray(), labels, class_names=names)


def test_half_a_test_set_is_refused():
    with pytest.raises(ValueError, match="test_labels is missing"):
        from_arrays(gray(), LABELS, test_images=gray(3))
    with pytest.raises(ValueError, match=r"test_labels\[1\] is 9"):
        from_arrays(gray(), LABELS, test_images=gray(3), test_labels=np.array([0, 9, 1]))


@pytest.mark.parametrize("name", [3, None, "", " "])
def test_a_data_set_has_a_name(name, types_unchecked):
    with pytest.raises(ValueError, match=r"name is .*: give the data set a name"):
        from_arrays(gray(), LABELS * 2, name=name)
