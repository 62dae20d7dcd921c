"""Training on a stream: stopped anywhere it goes on with the same samples, and it leaves no process behind."""

import os
import signal
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path

import pytest
import torch

from onward.data import Augmentation, DataSettings, Splits, Streamed, load
from onward.recipes import RECIPES, Recipe
from onward.runs import Interrupted, RunOptions, load_model, resume, spec_for, train
from onward.training import Evaluator, Training
from toy_trainings import same_tensors

STREAMED = DataSettings(name="mnist", buffer=50, augmentation=Augmentation(crop=1, flip=True))


@pytest.fixture
def recipe(toy_recipe: Recipe) -> Recipe:
    """Two epochs of eight steps."""
    return replace(toy_recipe, data=STREAMED, epochs=2, batch_size=32)


@pytest.fixture
def place(parquet_set, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunOptions:
    monkeypatch.setenv("ONWARD_CACHE", str(tmp_path / "cache"))
    return RunOptions(data_dir=parquet_set(), runs_dir=tmp_path / "runs", device="cpu", workers=1)


@pytest.fixture
def data(place: RunOptions) -> Splits:
    return load(STREAMED, data_dir=place.data_dir, workers=1)


def training_of(recipe: Recipe, data: Splits) -> Training:
    return Training(
        spec_for(recipe.algorithm, recipe.net, data).build(seed=1),
        data,
        recipe.trainer,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        augmentation=recipe.data.augmentation,
    )


@pytest.mark.parametrize("step", [pytest.param(3, marks=pytest.mark.slow), 8, 13])
def test_a_run_stopped_at_any_step_resumes_to_the_same_weights(recipe: Recipe, place: RunOptions, step, monkeypatch):
    whole, result = train(recipe, place)
    assert result.n_train == 260 and result.n_validation == 30 and active_children() == []
    update, steps = Training._set_learning_rate, []

    def stop(self: Training) -> None:
        steps.append(self.step)
        if len(steps) == step:
            os.kill(os.getpid(), signal.SIGTERM)
        update(self)

    with monkeypatch.context() as context, pytest.raises(Interrupted) as stopped:
        context.setattr(Training, "_set_learning_rate", stop)
        train(recipe, place)
    del stopped
    assert len(steps) == step and active_children() == []
    again, _ = resume(place.runs_dir / "toy" / "seed-0-2", replace(place, workers=0))
    ours, theirs = (load_model(folder.path)[0].state_dict() for folder in (again, whole))
    assert same_tensors(ours, theirs)


def test_a_training_that_fails_leaves_no_process_behind(recipe: Recipe, data: Splits, monkeypatch):
    training, steps = training_of(recipe, data), []

    def fail(self: Training) -> None:
        steps.append(len(active_children()))
        if len(steps) == 2:
            raise ValueError("block 1 is lost")

    monkeypatch.setattr(Training, "_set_learning_rate", fail)
    with pytest.raises(ValueError, match="block 1 is lost"):
        list(training)
    assert steps == [1, 1] and active_children() == []


def test_a_damaged_image_ends_a_training_by_name(recipe: Recipe, data: Splits, place: RunOptions):
    import pyarrow
    from pyarrow import parquet

    assert place.data_dir is not None and isinstance(data.train, Streamed)
    path = place.data_dir / "mnist" / "train-00000-of-00003.parquet"
    cells, row = parquet.read_table(path).to_pydict(), int(data.train.rows[20])
    cells["image"][row]["bytes"] = b"no image"
    parquet.write_table(pyarrow.table(cells), path, row_group_size=10)
    with pytest.raises(ValueError, match=rf"train-00000-of-00003.parquet, row {row} cannot be read as an image"):
        list(training_of(recipe, data))
    assert active_children() == []


def test_the_training_split_can_be_evaluated(recipe: Recipe, data: Splits):
    learner = spec_for(recipe.algorithm, recipe.net, data).build(seed=1)
    evaluator = Evaluator(learner, recipe.trainer, batch_size=100)
    in_memory = data.train.subset(torch.arange(len(data.train)))
    assert evaluator.accuracy(data.train) == evaluator.accuracy(in_memory)


def test_workers_cannot_be_negative():
    with pytest.raises(ValueError, match=r"workers of RunOptions must be .*, got -1"):
        RunOptions(workers=-1)


def test_imagenet_is_streamed():
    recipes = [recipe for recipe in RECIPES if recipe.data.name == "imagenet"]
    assert recipes and all(recipe.data.buffer for recipe in recipes)
