"""Weights of classes: what `fit` makes of them, and that a rare class is found more often."""

from typing import Any

import numpy as np
import pytest

from onward.algorithms import ForwardForward, MonoForward
from onward.core import TrainerSettings
from onward.data import Splits, from_arrays, weights_of
from onward.nets import MLP, Dense
from onward.runs import fit
from onward.runs.evaluating import evaluate


def _rare() -> Splits:
    """Rows of two classes that overlap, the second of which is rare."""
    draw = np.random.default_rng(0)
    labels = (np.arange(400) % 20 == 0).astype(int)
    return from_arrays(draw.normal(size=(400, 3)) + labels[:, None], labels, class_names=("common", "rare"))


def _found(data: Splits, **more: Any) -> float:
    quick = TrainerSettings(learning_rate=0.01)
    learner = fit(MonoForward(), Dense(hidden=(8,)), data, epochs=8, trainer=quick, device="cpu", **more)
    metrics = evaluate(learner, data, split="train").classes
    assert metrics is not None
    return metrics.recall[1]


def test_weights_of_classes_help_the_rare_one():
    data = _rare()
    plain, balanced = _found(data), _found(data, class_weights="balanced")
    assert plain < 0.3 < 0.6 < balanced


def test_weights_of_classes_are_a_sequence_or_a_mapping_of_names_or_indices():
    data = _rare()
    counts = data.train.labels.bincount()
    each = (len(data.train) / (2 * counts)).tolist()
    found = [weights_of(given, data) for given in ("balanced", each, dict(enumerate(each)), {"rare": 2, "common": 1})]
    assert found[0] == pytest.approx(each) and found[1] == found[2] == tuple(each) and found[3] == (1, 2)
    assert sum(found[0][label] for label in data.train.labels) == pytest.approx(len(data.train))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("heavy", "'heavy': give 'balanced'"),
        ({"rare": 1}, "lacks 'common': give a weight to each of common, rare"),
        ({"rare": 1, "common": 1, "other": 1}, "has 'other', which is no class"),
        ({0: 1, "rare": 2, 1: 1}, "has 'rare' twice, by its name and by its index: give one"),
        ([1, 2, 3], r"shape \(3,\): give one number for each of common, rare"),
        ([1, -2], "down to -2"),
        ([0, 0], "not all of them 0"),
        ([1, float("nan")], "holds NaN"),
    ],
)
def test_other_weights_of_classes_are_refused(given: Any, message: str):
    with pytest.raises(ValueError, match=message):
        weights_of(given, _rare())


def test_weights_of_classes_need_classes_and_a_loss_of_single_samples():
    rows = np.random.default_rng(0).normal(size=(40, 3))
    with pytest.raises(ValueError, match="task 'values' does not have"):
        weights_of("balanced", from_arrays(rows, rows[:, 0], task="values"))
    with pytest.raises(ValueError, match="weights='balanced'"):
        data = from_arrays(rows[:, :, None].repeat(3, 2).clip(0, 1), np.arange(40) % 2)
        fit(ForwardForward(), MLP(width=4), data, epochs=1, class_weights=[1.0, 2.0])
