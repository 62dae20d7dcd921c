"""Tables, windows, tokens and arrays of any shape: what they are taken for, what they keep, and what is refused."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix
from torch.utils.data import TensorDataset

from onward.algorithms import ForwardForward, MonoForward, PredSim
from onward.core import InputForm
from onward.data import Splits, as_data, from_arrays
from onward.nets import MLP, Dense, TinyCNN
from onward.runs import fit, load_model, save_model, spec_for

DRAW = np.random.default_rng(0)
LABELS = np.arange(60) % 3
TABLE = DRAW.normal(size=(60, 4)) + LABELS[:, None]


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "size": TABLE[:, 0],
            "old": LABELS > 1,
            "color": pd.Categorical(np.array(["red", "blue", "red"])[LABELS], categories=["red", "blue", "green"]),
            "place": np.array(["north", "south"])[np.arange(60) % 2],
        }
    )


@pytest.mark.parametrize(
    ("shape", "kind", "found"),
    [
        ((60, 4), None, "table"),
        ((60, 5, 6), None, "images"),
        ((60, 3, 5, 6), None, "images"),
        ((60, 2, 3, 4, 5), None, "array"),
        ((60, 5, 6), "windows", "windows"),
        ((60, 5, 6), "array", "array"),
        ((60, 6), "tokens", "tokens"),
    ],
)
def test_the_rank_says_the_kind_unless_told(shape, kind, found):
    values = DRAW.integers(0, 9, shape) if kind == "tokens" else DRAW.normal(size=shape)
    made = from_arrays(values, LABELS, kind=kind)
    assert made.inputs.kind == found
    assert made.shape == ((1, *shape[1:]) if found == "images" and len(shape) == 3 else shape[1:])


@pytest.mark.parametrize(
    ("shape", "shown"), [((60, 5, 6, 4), (4, 5, 6)), ((60, 4, 5, 6), (4, 5, 6)), ((60, 8, 8, 8), (8, 8, 8))]
)
def test_images_of_many_channels_are_told_apart_by_the_smallest_side(shape, shown):
    images = DRAW.integers(0, 255, shape, dtype=np.uint8)
    assert from_arrays(images, LABELS, kind="images").shape == shown
    with pytest.raises(ValueError, match="give kind='images'"):
        from_arrays(images, LABELS)


def test_sixteen_bits_are_kept():
    images = DRAW.integers(0, 65536, (60, 5, 5)).astype("uint16")
    made = from_arrays(images, LABELS)
    levels = (torch.cat([p.pixels for p in (made.train, made.validation, made.test)]).double() * 65535).round()
    assert made.inputs.unit and sorted(levels.flatten().tolist()) == sorted(images.flatten().tolist())
    learner = fit(MonoForward(), MLP(width=8), made, epochs=1)
    assert torch.equal(learner.predict(images), learner.predict(images / np.float32(65535)))


@pytest.mark.parametrize(
    "form", [list, lambda x: list(torch.from_numpy(x)), lambda x: x.astype(">u2"), lambda x: torch.from_numpy(x)]
)
def test_sixteen_bits_are_levels_in_every_container(form):
    images = DRAW.integers(0, 65536, (60, 5, 5)).astype("uint16")
    whole, made = from_arrays(images, LABELS), from_arrays(form(images), LABELS)
    assert made.inputs == whole.inputs and made.checksum == whole.checksum
    learner = fit(MonoForward(), MLP(width=8), whole, epochs=1)
    assert torch.equal(learner.predict_scores(form(images)), learner.predict_scores(images))


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "uint64", "bool"])
def test_every_type_of_number_is_taken_for_the_numbers_that_they_are(dtype):
    images = DRAW.integers(0, 256, (60, 5, 5))
    learner = fit(MonoForward(), MLP(width=8), from_arrays(images, LABELS), epochs=1)
    images = images % 2 if dtype == "bool" else images
    scores = learner.predict_scores(images)
    assert torch.equal(learner.predict_scores(images.astype(dtype)), scores)
    assert torch.equal(learner.predict_scores(torch.from_numpy(images.astype(dtype))), scores)


def test_numbers_that_float32_would_make_equal_stay_apart():
    time = 1.7e9 + LABELS + DRAW.random(60) * 0.1
    made = from_arrays(time[:, None], LABELS)
    assert made.train.pixels.dtype == torch.float64
    learner = fit(MonoForward(), Dense(hidden=(20,)), made, epochs=100, batch_size=8)
    assert (learner.predict(time[:, None]) == torch.from_numpy(LABELS)).float().mean() > 0.95


def test_small_differences_of_large_doubles_are_standardized():
    made = from_arrays(TABLE, 1.7e9 + 50 * TABLE[:, 0], task="values")
    (mean,), (deviation,) = (statistic.tolist() for statistic in made.target_statistics())
    assert abs(mean - 1.7e9) < 100 and 20 < deviation < 100
    assert 1e-4 < float(from_arrays(1e9 + TABLE / 100, LABELS).channel_statistics()[1][0]) < 1e-1


def test_numbers_beyond_32_bits_are_refused():
    big = np.concatenate([TABLE, TABLE[:, :1] * 1e300], 1)
    with pytest.raises(ValueError, match=r"rows reach to .*e\+300 in column 4, which 32 bits cannot hold"):
        fit(MonoForward(), MLP(width=8), from_arrays(big, LABELS), epochs=1)
    with pytest.raises(ValueError, match="numbers to predict reach to"):
        fit(MonoForward(), MLP(width=8), from_arrays(TABLE, TABLE[:, 0] * 1e200, task="values"), epochs=1)
    learner = fit(MonoForward(), MLP(width=8), from_arrays(TABLE, LABELS), epochs=1)
    with pytest.raises(ValueError, match=r"rows\[0\] are not finite: it reaches to .*, which 32 bits cannot hold"):
        learner.predict(TABLE * 1e300)


def test_a_constant_column_changes_nothing_and_is_no_signal():
    table = np.concatenate([TABLE, np.full((60, 1), 1e6)], 1)
    made = from_arrays(table, LABELS)
    mean, deviation = made.channel_statistics()
    assert deviation[-1] == 1 and mean[-1] == 1e6
    assert fit(MonoForward(), MLP(width=8), made, epochs=1).predict(table).shape == (60,)


def test_a_frame_becomes_numbers_the_same_way_at_prediction(tmp_path):
    names = np.array(["lo", "mid", "hi"])[LABELS]
    made = from_arrays(frame(), names)
    assert made.class_names == ("hi", "lo", "mid") and made.shape == (1 + 1 + 3 + 2,)
    learner, spec = fit(MonoForward(), MLP(width=8), made, epochs=1), spec_for(MonoForward(), MLP(width=8), made)
    scores = learner.predict_scores(frame())
    turned = frame()[["place", "color", "old", "size"]].astype({"color": str})
    assert torch.equal(learner.predict_scores(turned), scores)
    save_model(tmp_path, learner, spec)
    again, found = load_model(tmp_path)
    assert torch.equal(again.predict_scores(frame()), scores) and found == spec


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="old"), "lacks 'old'"),
        (lambda f: pd.concat([f, f[["old"]]], axis=1), "two columns called 'old'"),
        (lambda f: f.assign(new=1), "has 'new', which is not one of them"),
        (lambda f: f.assign(place="east"), "'place' of images holds 'east' in row 0: trained with north, south"),
        (lambda f: f.assign(size=np.nan), "'size' of images holds NaN in row 0, as do 59 others"),
        (lambda f: f.assign(size=np.inf), "infinite value in row 0"),
        (lambda f: f.assign(size="x"), "'size' of images holds 'x'"),
        (lambda f: np.zeros((60, 4)), "give a DataFrame with the columns size, old"),
    ],
)
def test_other_frames_are_refused_at_prediction(change, message):
    learner = fit(MonoForward(), MLP(width=8), from_arrays(frame(), LABELS), epochs=1)
    with pytest.raises(ValueError, match=message):
        learner.predict(change(frame()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.assign(size=f["size"].where(f.index != 3)), "holds NaN in row 3"),
        (lambda f: f.assign(place=f["place"].where(f.index != 3)), r"holds NaN in row 3: .*fillna\('missing'\)"),
        (lambda f: f.assign(day=pd.Timestamp("2026-01-01")), "'day' of images holds times"),
        (lambda f: f.assign(odd=[[1]] * 60), "holds a list in row 0"),
        (lambda f: pd.concat([f, f], axis=1), "two columns called 'size'"),
        (lambda f: f[[]], "no columns"),
        (
            lambda f: f.assign(day=[f"2026-01-{k}" for k in f.index]),
            "'day' of images holds a different text in every row",
        ),
    ],
)
def test_frames_that_cannot_be_learned_from_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        from_arrays(change(frame()), LABELS)


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        (TABLE, "picture", "choose one of images, table"),
        (TABLE, "windows", r"windows are \[N, C, T\]"),
        (frame(), "images", "a table with named columns"),
        (TABLE, "tokens", "token ids are integers"),
        (DRAW.integers(-3, 3, (60, 4)), "tokens", "holds the id -"),
        (np.where(np.arange(60)[:, None] == 7, np.nan, TABLE), None, r"images\[7\] holds NaN"),
        (TABLE[:, :0], None, "is empty"),
        (TABLE.astype(object), None, r"give numbers of one type, for example images.astype\(float\)"),
        ({"a": [1, 2]}, None, r"images is a dict: give a table, pandas.DataFrame\(images\)"),
        (csr_matrix(TABLE), None, r"images is a csr_matrix: give its numbers densely, images.toarray\(\)"),
    ],
)
def test_what_does_not_fit_its_kind_is_refused(values, kind, message, types_unchecked):
    with pytest.raises(ValueError, match=message):
        from_arrays(values, LABELS, kind=kind)


def test_truth_values_and_categories_name_their_classes():
    assert from_arrays(TABLE, LABELS > 0).class_names == ("False", "True")
    told = pd.Categorical(np.array(["b", "a", "b"])[LABELS], categories=["b", "a"])
    made = from_arrays(TABLE, told, test_images=TABLE, test_labels=list(told))
    assert made.class_names == ("b", "a") and made.test.labels.tolist() == [0, 1, 0] * 20


def test_images_in_another_unit_than_those_of_the_training_are_refused():
    images = DRAW.random((60, 5, 5)) * 255
    learner = fit(MonoForward(), MLP(width=8), from_arrays(images, LABELS), epochs=1)
    assert learner.predict(images.round()).shape == (60,) and learner.predict(np.zeros((1, 5, 5))).shape == (1,)
    with pytest.raises(ValueError, match=r"lie in \[0, 1\], but those of the training reach beyond"):
        learner.predict(images / 255)


def test_networks_and_methods_that_cannot_take_the_kind_are_refused():
    made = from_arrays(TABLE, LABELS)
    with pytest.raises(ValueError, match=r"TinyCNN takes images, but the data are table of shape \[4\]"):
        fit(MonoForward(), TinyCNN(width=3), made)
    with pytest.raises(ValueError, match="writes the label over the first 3 values"):
        fit(ForwardForward(), MLP(width=8), made)


def windows() -> Splits:
    return from_arrays(DRAW.normal(size=(60, 3, 8)) + LABELS[:, None, None], LABELS, kind="windows")


def test_windows_are_standardized_by_channel_and_learned_flat():
    made = windows()
    assert made.channel_statistics()[0].shape == (3,)
    learner = fit(MonoForward(), MLP(width=100, depth=1), made, epochs=60, batch_size=8)
    assert (learner.predict(made.train.pixels) == made.train.labels).float().mean() > 0.8


def test_numbers_are_predicted_in_their_unit(tmp_path):
    wanted = np.stack([TABLE[:, 0] * 1000 + 5e5, TABLE[:, 1]], 1)
    made = from_arrays(TABLE, wanted, task="values")
    learner = fit(MonoForward(), Dense(hidden=(40, 40)), made, epochs=150, batch_size=16)
    error = (learner.predict(made.test.pixels) - made.test.labels).square().mean(0)
    assert (error < 0.15 * made.test.labels.var(0)).all()
    spec = spec_for(MonoForward(), Dense(hidden=(40, 40)), made)
    save_model(tmp_path, learner, spec)
    again, _ = load_model(tmp_path)
    assert again.task == "values" and torch.equal(again.predict(TABLE), learner.predict(TABLE))


def test_several_labels_are_predicted_at_once():
    wanted = (TABLE[:, :2] > 1).astype(int)
    made = from_arrays(TABLE, wanted, task="labels", class_names=("first", "second"))
    learner = fit(MonoForward(), Dense(hidden=(80,)), made, epochs=300, batch_size=8)
    found = learner.predict(TABLE)
    assert found.dtype == torch.bool and (found == torch.from_numpy(wanted)).float().mean() > 0.9
    names = learner.predict_names(TABLE)
    assert names == [tuple(n for n, on in zip(("first", "second"), row, strict=True) if on) for row in found.tolist()]


def test_numbers_have_no_names():
    learner = fit(MonoForward(), Dense(hidden=(8,)), from_arrays(TABLE, TABLE[:, 0], task="values"), epochs=1)
    with pytest.raises(ValueError, match="numbers are predicted, which have no names: use predict"):
        learner.predict_names(TABLE)


@pytest.mark.parametrize("rank", [4, 5, 6])
def test_arrays_of_many_axes_are_trained_on(rank):
    arrays = DRAW.normal(size=(60, *[2] * (rank - 1)))
    made = from_arrays(arrays, LABELS, kind="array")
    assert fit(MonoForward(), MLP(width=8), made, epochs=1).predict(arrays[:2]).shape == (2,)


def test_methods_of_one_class_are_refused_for_numbers():
    with pytest.raises(ValueError, match=r"learns one class of each row \(Similarity"):
        fit(PredSim(), MLP(width=8), from_arrays(TABLE, TABLE[:, 0], task="values"))


def test_weights_decide_how_often_a_row_is_drawn():
    weights = np.where(LABELS == 0, 4.0, 1.0)
    made = from_arrays(TABLE, LABELS, weights=weights)
    drawn = torch.cat([torch.cat(made.train.order(1, seed)) for seed in range(20)])
    share = (made.train.labels[drawn] == 0).float().mean()
    assert abs(float(share) - 4 / 6) < 0.02
    balanced = from_arrays(TABLE, (np.arange(60) < 6).astype(int), weights="balanced").train
    labels = balanced.labels[torch.cat(balanced.order(1, 0))]
    assert abs(float(labels.double().mean()) - 0.5) < 0.05
    for bad in (weights[:5], -weights, weights * 0, weights * np.nan, "equal"):
        with pytest.raises(ValueError, match="weights"):
            from_arrays(TABLE, LABELS, weights=bad)


def test_forms_compare_and_say_what_they_are():
    assert InputForm("table", (3,)) == InputForm("table", (3,))
    with pytest.raises(ValueError, match=r"reshape them, rows.reshape\(-1, 2, 2\)"):
        InputForm("windows", (2, 2)).check(np.zeros((5, 4)), "rows")


def test_several_labels_of_a_row_are_told_from_one_hot_rows():
    with pytest.raises(ValueError, match=r"from one-hot rows labels.argmax\(1\)"):
        from_arrays(TABLE, np.eye(3)[np.arange(60) % 3])
    with pytest.raises(ValueError, match="rows with several labels, or none, are of task='labels'"):
        from_arrays(TABLE, (TABLE[:, :3] > 0).astype(int))


def test_a_dataset_of_single_samples_is_told_from_a_loader():
    with pytest.raises(ValueError, match=r"data is a TensorDataset, of single samples: give DataLoader\(data"):
        as_data(TensorDataset(torch.zeros(4, 2), torch.arange(4) % 2))


def test_texts_that_are_numbers_or_dates_are_no_categories():
    rows = 60
    labels = np.arange(rows) % 2
    texts = [f"{k / 7:.3f}" for k in range(rows // 2)] * 2
    for odd, says in (
        (["?", *texts[1:]], "column 'b' of images holds numbers, and '\\?' beside them: leave the entry empty"),
        (texts, "column 'b' of images holds numbers as texts, such as '0.000'"),
        ([f"2024-01-{1 + k % 28:02d}" for k in range(rows)], "holds dates as texts, such as '2024-01-01'"),
    ):
        frame = pd.DataFrame({"a": np.arange(rows) / 3, "b": odd})
        with pytest.raises(ValueError, match=says):
            from_arrays(frame, labels)
        assert from_arrays(frame.astype({"b": "category"}), labels).shape[0] > 20


def test_categories_that_are_written_alike_are_refused():
    twice = pd.Categorical([1, "1"] * 30)
    frame, labels = pd.DataFrame({"a": np.arange(60) / 3, "b": twice}), np.arange(60) % 2
    with pytest.raises(ValueError, match="column 'b' of images has the categories 1 and '1', which are written alike"):
        from_arrays(frame, labels)
    with pytest.raises(ValueError, match="labels has the categories 1 and '1', which are written alike"):
        from_arrays(frame[["a"]], twice)
