"""Weights of classes as a setting of a recipe: kept in run and model, and the same in a resumed run."""

from pathlib import Path
from typing import Any

import pytest
import torch

import onward
from onward.algorithms import MonoForward
from onward.core import TrainerSettings
from onward.data import DataSettings, Splits
from onward.nets import Dense
from onward.parts.objective.targets import ClassWeights
from onward.recipes import Recipe, control, literal
from onward.runs import RunOptions, fit, load_model, train
from onward.runs.codec import decode, encode
from onward.runs.hub_card import card
from onward.runs.model import prepared
from onward.storage.files import read_json, write_json

WEIGHTS = (3.0, *(1.0,) * 9)


def _recipe(class_weights: Any) -> Recipe:
    return Recipe(
        name="weighed",
        algorithm=MonoForward(features=32),
        net=Dense(hidden=(12,)),
        data=DataSettings(name="digits"),
        trainer=TrainerSettings(learning_rate=0.01),
        epochs=1,
        batch_size=300,
        class_weights=class_weights,
    )


def _weights(learner: onward.Learner) -> list[tuple[float, ...]]:
    objectives = [block.objective for block in learner.blocks if block.objective is not None]
    return [objective.weights for objective in objectives if isinstance(objective, ClassWeights)]


@pytest.mark.parametrize("given", ["balanced", WEIGHTS])
def test_a_recipe_keeps_its_weights_of_classes(given: Any):
    recipe = _recipe(given)
    assert decode(encode(recipe), Recipe) == recipe and "class_weights=" in literal(recipe)
    assert control(recipe, "backprop").class_weights == given
    assert recipe.identity() != _recipe(None).identity()
    assert recipe.on_other_images(DataSettings(name="mnist"), "mnist").class_weights == given
    data = onward.load_data("digits")
    weights = _weights(prepared(recipe, data, torch.device("cpu")))
    assert len(weights) == 1 and (weights[0] == WEIGHTS or given == "balanced")


def test_weights_that_do_not_fit_the_classes_are_refused(tmp_path: Path):
    for wrong, message in (
        ((1.0, 2.0), r"shape \(2,\): give one number for each of 0, 1"),
        ((0.0,) * 10, "not all of"),
    ):
        with pytest.raises(ValueError, match=message):
            train(_recipe(wrong), RunOptions(runs_dir=tmp_path / "runs", device="cpu"))
    with pytest.raises(ValueError, match="class_weights of settings must be one of balanced"):
        decode({**encode(_recipe("balanced")), "class_weights": "heavy"}, Recipe)
    assert not (tmp_path / "runs").exists()


def test_a_run_trains_with_them_and_its_model_and_card_have_them(tmp_path: Path):
    options = RunOptions(runs_dir=tmp_path / "runs", device="cpu")
    (weighed, _), (plain, _) = (train(_recipe(given), options, verbose=False) for given in (WEIGHTS, None))
    learner, spec = load_model(weighed.path)
    assert spec.class_weights == WEIGHTS and _weights(learner) == [WEIGHTS]
    other, unweighed = load_model(plain.path)
    assert unweighed.class_weights == () and "class_weights" not in read_json(plain.path / "model.json")
    first, second = learner.state_dict(), other.state_dict()
    assert any(not torch.equal(value, second[name]) for name, value in first.items())
    assert '"class_weights"' in card(learner, spec, weighed.path, name="me/weighed")
    content = read_json(weighed.path / "model.json")
    write_json(weighed.path / "model.json", {**content, "class_weights": [1.0, 2.0]})
    with pytest.raises(ValueError, match=r"does not belong|2 class weights"):
        load_model(weighed.path)


def test_a_fitted_learner_that_was_saved_goes_on_with_them(toy_data: Splits, tmp_path: Path):
    learner = fit(
        MonoForward(features=32), Dense(hidden=(12,)), toy_data, epochs=1, class_weights={0: 5.0, 1: 1.0, 2: 1.0}
    )
    learner.save(tmp_path / "model")
    loaded = onward.load(tmp_path / "model")
    assert _weights(loaded) == _weights(learner) == [(5.0, 1.0, 1.0)]
