"""Loaders and Hugging Face datasets as data: what a training sees of them, and what cannot be one."""

from typing import Any

import datasets
import numpy as np
import pandas
import PIL.Image
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from onward.algorithms import MonoForward
from onward.core import TrainerSettings
from onward.data import TrainLoader, as_data, from_arrays, from_dataset, from_loader, read_image
from onward.nets import MLP
from onward.runs import fit
from onward.runs.evaluating import evaluate
from onward.training import OnlineLearning

NAMES = ["cat", "cow", "dog"]
DRAW = np.random.default_rng(0)
LABELS = np.arange(60) % 3
IMAGE_PAIRS: Any = [(PIL.Image.new("L", (8, 8)), 0), (PIL.Image.new("L", (8, 8)), 1)]
TABLE = (DRAW.normal(size=(60, 4)) + 3 * LABELS[:, None]).astype("float32")


def loader(**settings) -> DataLoader:
    rows = TensorDataset(torch.from_numpy(TABLE), torch.from_numpy(LABELS))
    return DataLoader(rows, **{"batch_size": 8, "shuffle": True, **settings})


def test_a_loader_is_gone_through_in_every_epoch_by_its_seed_alone():
    data = from_loader(loader(), loader(shuffle=False))
    assert (data.shape, data.class_names, data.inputs.kind) == ((4,), ("0", "1", "2"), "table")
    batches = TrainLoader(data.train, batch_size=99, device="cpu", seed=1)
    first = [y.tolist() for _, y in batches.epoch(0)]
    torch.rand(3)
    assert [y.tolist() for _, y in batches.epoch(0)] == first != [y.tolist() for _, y in batches.epoch(1)]
    assert [y.tolist() for _, y in batches.epoch(0, start=5)] == first[5:]
    assert len(batches) == 8 == len(first) and sorted(y for batch in first for y in batch) == sorted(LABELS.tolist())


def test_what_is_set_aside_is_not_trained_on():
    data = from_loader(loader(), validation_fraction=0.2)
    trained = {
        tuple(x.tolist()) for batch, _ in TrainLoader(data.train, batch_size=8, device="cpu").epoch(0) for x in batch
    }
    held = {tuple(x.tolist()) for x in data.validation.pixels}
    assert len(held) == 12 and len(trained) == 48 and not held & trained and "without a test split" in data.note


@pytest.mark.parametrize(
    "form",
    [
        loader(),
        [(TABLE[k : k + 10], LABELS[k : k + 10]) for k in range(0, 60, 10)],
        [{"x": TABLE[k : k + 10], "label": LABELS[k : k + 10]} for k in range(0, 60, 10)],
        (TABLE, LABELS),
        (TABLE, np.array(["a", "b", "c"])[LABELS]),
        datasets.Dataset.from_dict({"x": TABLE.tolist(), "label": LABELS.tolist()}),
    ],
)
def test_fit_takes_them_all(form):
    learner = fit(MonoForward(), MLP(width=20), form, epochs=40, batch_size=8)
    assert learner.score(TABLE, np.array(learner.class_names)[LABELS]) > 0.8


class Anew:
    """Batches that are made each time they are asked for."""

    def __iter__(self):
        return iter([(TABLE, LABELS)])


def test_what_can_only_be_iterated_over_is_trained_on_with_a_note():
    with pytest.warns(
        UserWarning, match="nothing can be set aside of this loader, so its own samples are validated on"
    ):
        data = from_loader(Anew())
    assert data.note == "loader, validated on training samples, without a test split of its own"
    assert torch.equal(data.validation.labels, torch.as_tensor(LABELS)) and data.validation is data.test
    with pytest.warns(UserWarning, match="validated on"):
        learner = fit(MonoForward(), MLP(width=20), Anew(), epochs=40)
    assert learner.score(TABLE, LABELS) > 0.6


@pytest.mark.parametrize(
    ("train", "validation", "message"),
    [
        (iter([(TABLE, LABELS)]), None, "only once"),
        (((x, y) for x, y in [(TABLE, LABELS)]), None, "only once"),
        (3, None, "train is a int"),
        ([TABLE, TABLE], [(TABLE, LABELS)], "a batch of train is a ndarray"),
        ([(TABLE, LABELS, 1)], [(TABLE, LABELS)], r"tuple of 3: yield \(inputs, labels\)"),
        ([(TABLE, LABELS), (TABLE[:, :2], LABELS)], [(TABLE, LABELS)], "shapes .*bring them to one"),
        ([(TABLE * np.nan, LABELS)], [(TABLE, LABELS)], r"batch 0 of train\[0\] holds NaN"),
        ([(TABLE, LABELS[:4])], [(TABLE, LABELS)], "60 inputs but 4 labels"),
        ([(TABLE, LABELS)], [(TABLE[:, :2], LABELS)], r"validation of shape \(2,\) given"),
        ([(TABLE, LABELS)], [], "validation yields no batches"),
        ([], [(TABLE, LABELS)], "train yields no batches"),
        (TensorDataset(torch.from_numpy(TABLE), torch.from_numpy(LABELS)), None, "train is a TensorDataset"),
        (list(zip(TABLE, LABELS, strict=True)), [(TABLE, LABELS)], r"single samples: .* DataLoader\(data"),
        (list(zip(TABLE, LABELS.tolist(), strict=True)), [(TABLE, LABELS)], "single samples"),
        (IMAGE_PAIRS, [(TABLE, LABELS)], r"single samples: give onward\.from_arrays a list of the images"),
        (DataLoader(IMAGE_PAIRS), [(TABLE, LABELS)], r"join samples .*Image'>\): give onward\.from_arrays a list"),
        ([{"a": TABLE, "b": TABLE, "label": LABELS}], [(TABLE, LABELS)], "has the entries a, b, label"),
    ],
)
def test_what_is_no_loader_is_refused(train, validation, message):
    with pytest.raises(ValueError, match=message):
        from_loader(train, validation)


@pytest.mark.parametrize("data", [TABLE, "digits", {"x": 1}, None, 3])
def test_what_is_no_data_is_refused(data):
    with pytest.raises(ValueError, match=r"give \(inputs, labels\), a DataLoader"):
        as_data(data)


def pictures(side: int = 8) -> datasets.Dataset:
    images = [PIL.Image.fromarray(DRAW.integers(0, 255, (side, side), dtype=np.uint8)) for _ in LABELS]
    features = datasets.Features(
        {"picture": datasets.Image(), "kind": datasets.ClassLabel(names=["cat", "cow", "dog"])}
    )
    return datasets.Dataset.from_dict({"picture": images, "kind": LABELS.tolist()}, features=features)


def test_a_dataset_of_images_brings_its_class_names():
    data = from_dataset(pictures())
    assert data.shape == (1, 8, 8) and data.class_names == ("cat", "cow", "dog") and data.inputs.unit
    both = datasets.DatasetDict({"train": pictures(), "validation": pictures(), "test": pictures()})
    data = from_dataset(both, "picture", "kind", size=6)
    assert (data.shape, len(data.train), len(data.validation), len(data.test)) == ((1, 6, 6), 60, 60, 60)


def test_several_columns_are_a_table():
    columns = {"a": TABLE[:, 0], "b": np.array(["u", "v"])[LABELS % 2], "c": LABELS, "d": TABLE[:, 1]}
    made = datasets.Dataset.from_dict(columns)
    data = from_dataset(made, ["a", "b"], "c")
    assert data.inputs.kind == "table" and data.shape == (3,)
    assert from_dataset(made, ["a", "b"], ["c", "d"], task="values").num_classes == 2


@pytest.mark.parametrize(
    ("inputs", "target", "message"),
    [
        ("z", "label", "no column 'z': it has t, label"),
        ("t", "w", "no column 'w'"),
        ("t", "label", "holds texts"),
        (["t", "label"], "label", "'label' is the target, and cannot be learned from"),
        ("t", None, "which of the columns t, other is to be predicted"),
    ],
)
def test_columns_that_cannot_be_used_are_refused(inputs, target, message):
    made = datasets.Dataset.from_dict({"t": ["x"] * 60, "label": LABELS.tolist()})
    if target is None:
        made, target = made.rename_column("label", "other"), None
    with pytest.raises(ValueError, match=message):
        from_dataset(made, inputs, target)


def test_an_entry_that_is_missing_is_shown():
    made = datasets.Dataset.from_dict({"a": [0.5, 0.5, None, *[1.0] * 57], "label": LABELS.tolist()})
    with pytest.raises(ValueError, match=r"images\[2\] is None: give numbers"):
        from_dataset(made, "a", "label")


class _Again:
    """Batches that are made anew each time."""

    def __iter__(self):
        yield from zip(torch.arange(80.0).view(-1, 2).split(16), (torch.arange(40) % 2).split(16), strict=True)


def test_what_is_trained_on_can_be_evaluated_on():
    table = {"a": np.arange(40.0), "b": ["x", "y"] * 20, "label": [0, 1] * 20}
    whole = datasets.Dataset.from_dict(table)
    images = [PIL.Image.new("L", (8, 8), 5 * k) for k in range(40)]
    pictures = datasets.Dataset.from_dict({"image": images, "label": [0, 1] * 20})
    sets = {"train": whole, "test": whole.select(range(10))}
    for data, held in (
        (whole, whole.with_format("torch")),
        (sets, sets),
        (pictures, pictures),
        (list(_Again()), _Again()),
    ):
        learner = fit(MonoForward(), MLP(width=8), data, epochs=1)
        accuracy = evaluate(learner, held)
        predicted, count = accuracy.classes, 10 if data is sets else 40
        assert predicted is not None and int(predicted.confusion.sum()) == count
    learner = fit(MonoForward(), MLP(width=8), whole, epochs=1)
    swapped = whole.select_columns(["label", "b", "a"])
    assert evaluate(learner, swapped) == evaluate(learner, whole)
    with pytest.raises(ValueError, match="no column 'b': it has a, label"):
        evaluate(learner, whole.remove_columns("b"))
    with pytest.raises(ValueError, match="the splits train, but no test"):
        evaluate(learner, {"train": whole})


def _texts(rows: range) -> datasets.Dataset:
    table = {"x": TABLE[rows.start : rows.stop].tolist(), "label": np.array(NAMES)[LABELS[rows.start : rows.stop]]}
    return datasets.Dataset.from_dict(table)


def _numbered(names: list[str], rows: range) -> datasets.Dataset:
    return _texts(rows).cast_column("label", datasets.ClassLabel(names=names))


@pytest.mark.parametrize("train", [_texts, lambda rows: _numbered(NAMES, rows)])
@pytest.mark.parametrize("test", [_texts, lambda rows: _numbered(["dog", "cat", "cow"], rows)])
def test_classes_of_a_dataset_are_those_of_their_names(train, test):
    data = from_dataset({"train": train(range(40)), "test": test(range(40, 60))})
    assert data.class_names == tuple(NAMES) and data.test.labels.tolist() == LABELS[40:].tolist()
    learner = fit(MonoForward(), MLP(width=20), train(range(60)), epochs=40, batch_size=8)
    assert evaluate(learner, test(range(60))) == evaluate(learner, _texts(range(60)))


def test_numbers_of_a_dataset_stay_numbers_where_classes_have_no_names():
    learner = fit(MonoForward(), MLP(width=8), (TABLE, LABELS), epochs=1)
    seen = evaluate(learner, _numbered(NAMES, range(60))).classes
    assert seen is not None and seen.confusion.sum(1).tolist() == [20, 20, 20]
    data = from_dataset(_numbered(NAMES, range(60)), "x", "label", task="values")
    assert sorted(data.train.labels.flatten().unique().tolist()) == [0.0, 1.0, 2.0]


def test_a_split_without_labels_is_named():
    with pytest.raises(ValueError, match=r"the split test has no column 'label'.*leave it out \(dataset\.pop\)"):
        from_dataset({"train": _texts(range(60)), "test": _texts(range(9)).remove_columns("label")})


def test_images_of_a_dataset_are_read_as_those_of_files(tmp_path):
    icon = np.zeros((8, 8, 4), np.uint8)
    icon[2:6, 2:6, 3] = 255  # a black square on nothing
    PIL.Image.fromarray(icon).save(tmp_path / "icon.png")
    made = datasets.Dataset.from_dict({"image": [str(tmp_path / "icon.png")] * 40, "label": [0, 1] * 20})
    pixels = from_dataset(made.cast_column("image", datasets.Image())).train.sample.pixels
    assert torch.equal(pixels[0], read_image(tmp_path / "icon.png", channels=3, size=(8, 8))) and pixels.max() == 255
    for row in (0, 7):
        files: list[str | None] = [str(tmp_path / "icon.png")] * 40
        files[row] = None
        gone = datasets.Dataset.from_dict({"image": files, "label": [0, 1] * 20})
        with pytest.raises(ValueError, match=f"row {row} has no image in column 'image'"):
            from_dataset(gone.cast_column("image", datasets.Image()), size=8)


def test_classes_of_a_loader_are_those_of_all_its_samples():
    labels = LABELS % 2
    labels[5] = 2
    rows = TensorDataset(torch.from_numpy(TABLE), torch.from_numpy(labels))
    refused = 0
    for seed in range(30):
        try:
            assert from_loader(DataLoader(rows, batch_size=8), seed=seed).class_names == ("0", "1", "2")
        except ValueError as error:
            assert "all samples of class '2' are among those set aside" in str(error)
            refused += 1
    assert 0 < refused < 15
    batches = [(TABLE[:10], np.full(10, k)) for k in range(4)]
    with pytest.raises(ValueError, match="set aside for validation: give validation, another loader, or batches"):
        from_loader(batches)
    assert from_loader(batches, batches).class_names == ("0", "1", "2", "3")


def test_whole_numbers_are_the_classes_of_that_name_where_they_cannot_be_indices():
    names = np.array(["1", "2", "3"])
    learner = fit(MonoForward(), MLP(width=20), (TABLE, names[LABELS]), epochs=40, batch_size=8)
    score = learner.score(TABLE, names[LABELS])
    assert score > 0.6
    for labels in (LABELS, LABELS + 1):
        assert learner.score(TABLE, labels) == score
        assert evaluate(learner, (TABLE, labels)) == evaluate(learner, (TABLE, names[LABELS]))
    few = LABELS < 2
    with pytest.raises(ValueError, match=r"the classes called 1, 2, 3 or their indices 0\.\.2: give them as texts"):
        learner.score(TABLE[few], LABELS[few] + 1)
    with pytest.raises(ValueError, match=r"is 7: classes are numbered 0\.\.2"):
        learner.score(TABLE, LABELS + 5)
    online = OnlineLearning(learner, TrainerSettings())
    assert online.partial_fit(TABLE[1:2], LABELS[1:2]).isfinite().all()  # batches of a stream have indices


def test_a_table_of_one_column_is_no_column_of_labels():
    with pytest.raises(ValueError, match=r"labels is a table of one column: give the column, labels\['t'\]"):
        from_arrays(TABLE, pandas.DataFrame({"t": np.array(NAMES)[LABELS]}))
