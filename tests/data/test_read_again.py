"""Rows that come after the training are read as those of the training were, whatever rows stand beside them."""

import numpy as np
import pandas as pd
import pytest
import torch

from onward.algorithms import MonoForward
from onward.core import Learner, TrainerSettings
from onward.data import from_arrays
from onward.data.samples import exact, narrowed
from onward.nets import Dense, TinyCNN
from onward.runs import fit
from onward.runs.evaluating import evaluate

DRAW = np.random.default_rng(0)
Y = np.arange(60) % 3
X = DRAW.normal(size=(60, 2)) + 3 * Y[:, None]


def _fitted(data) -> Learner:
    return fit(
        MonoForward(), Dense(hidden=(8,)), data, epochs=20, batch_size=6, trainer=TrainerSettings(learning_rate=0.01)
    )


def test_a_row_alone_is_what_it_is_among_others():
    times = 1.7e9 + torch.arange(400, dtype=torch.float64)[:, None] * 0.5
    for k in (0, 150, 399):
        assert torch.equal(exact(times[k : k + 1]), exact(times)[k : k + 1])
    assert exact(times.round()[:1] * 0 + 3).dtype == torch.float32
    assert narrowed(times).dtype == torch.float64 and narrowed(torch.rand(9, 2).double() / 3).dtype == torch.float32
    late = (np.arange(400) > 200).astype(int)
    learner = _fitted(from_arrays(times.numpy(), late))
    assert evaluate(learner, (times.numpy(), late)).of_default_rule > 0.95
    assert all(
        evaluate(learner, (times[k : k + 1].numpy(), late[k : k + 1])).of_default_rule == 1 for k in (20, 150, 380)
    )


@pytest.mark.parametrize("constant", [0.1, 20240131, 1234567891, 1e15 + 1, int(1.7e18) + 3])
def test_a_constant_column_changes_nothing(constant):
    table = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "day": np.full(60, constant)})
    learner = _fitted(from_arrays(table, Y))
    plain = _fitted(from_arrays(table.assign(day=0.0), Y))
    assert (
        learner.score(table, Y)
        == evaluate(learner, (table, Y)).of_default_rule
        == plain.score(table.assign(day=0.0), Y)
    )


def test_classes_called_by_numbers_are_meant_by_numbers():
    names = np.array(list("123"))[Y]
    whole = from_arrays(
        X, names, test_images=X[:3], test_labels=[1, 2, 3], validation_images=X, validation_labels=Y + 1
    )
    assert whole.test.labels.tolist() == [0, 1, 2] and whole.validation.labels.tolist() == Y.tolist()
    with pytest.raises(
        ValueError, match="test_labels are numbers from 1 to 2, which may be the classes called 1, 2, 3"
    ):
        from_arrays(X, names, test_images=X[:2], test_labels=[1, 2])
    by_index = from_arrays(X, Y, class_names=("1", "2", "3"), test_images=X[:2], test_labels=[1, 2])
    assert by_index.test.labels.tolist() == [1, 2]


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_channels_may_come_last_whatever_their_number(channels: int):
    images = DRAW.integers(0, 256, (60, 6, 9, channels), dtype=np.uint8)
    data = from_arrays(images, Y, kind="images", test_images=images[:6], test_labels=Y[:6])
    assert data.test.pixels.shape == (6, channels, 6, 9)
    learner = fit(MonoForward(), TinyCNN(width=6), data, epochs=1)
    assert torch.equal(learner.predict_scores(images), learner.predict_scores(images.transpose(0, 3, 1, 2).copy()))
    assert 0 <= learner.score(images, Y) <= 1


def test_images_of_64_bits_are_evaluated_as_those_of_32():
    images = DRAW.random((60, 5, 5))
    data = from_arrays(images, Y, test_images=images[:6], test_labels=Y[:6])
    assert data.train.pixels.dtype == data.test.pixels.dtype == torch.float32
    learner = fit(MonoForward(), TinyCNN(width=6), data, epochs=1)
    assert evaluate(learner, (images, Y)).of_default_rule == learner.score(images.astype(np.float32), Y)
