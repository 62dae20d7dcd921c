"""A whole training in compiled steps, whose graphs run as they are: the plain training, also stopped and resumed."""

import copy
from dataclasses import replace
from functools import partial

import pytest
from torch import Tensor, fx

from onward.core import CapturedTrainer, CompiledPrograms, LocalTrainer, TrainerSettings
from onward.data import Augmentation
from onward.recipes import Recipe
from onward.runs import RunOptions, load_model, train
from onward.training import OnlineLearning, StepDone, Training, loop
from toy_trainings import same_tensors


def _as_it_is(graph: fx.GraphModule, inputs: list[Tensor]) -> fx.GraphModule:
    return graph


@pytest.fixture
def without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "CompiledPrograms", partial(CompiledPrograms, _as_it_is, formulas={}))
    monkeypatch.setattr(loop, "check_compilable", lambda device: None)


def _losses(training: Training) -> list[dict[int, float]]:
    return [event.losses for event in training if not isinstance(event, StepDone)]


@pytest.mark.usefixtures("without_a_compiler")
def test_a_compiled_training_is_the_plain_one_also_stopped_and_resumed(make_training):
    # The rates of a schedule are rounded to fp32 where a program reads them; this one is the same in both.
    settings = {"epochs": 3, "ema_decay": 0.9, "schedule": "constant", "learning_rate": 0.0078125}
    plain, whole, stopped, resumed = (
        make_training(**settings, augmentation=Augmentation(crop=1), compile=compiled)
        for compiled in (False, True, True, True)
    )
    assert _losses(plain) == _losses(whole)
    assert same_tensors(plain.state()[0], whole.state()[0])
    for _, event in zip(range(9), stopped, strict=False):
        assert event is not None
    resumed.load_state(*copy.deepcopy(stopped.state()))
    _losses(resumed)
    assert same_tensors(plain.state()[0], resumed.state()[0])
    assert isinstance(resumed.stepper, CapturedTrainer) and resumed.stepper.reason is None


@pytest.mark.usefixtures("without_a_compiler")
def test_a_run_notes_that_its_steps_were_compiled(toy_recipe: Recipe, place: RunOptions):
    settings = replace(toy_recipe.trainer, schedule="constant", learning_rate=0.0078125)
    weights = []
    for compiled in (False, True):
        recipe = replace(toy_recipe, trainer=replace(settings, compile=compiled), epochs=2)
        folder, _ = train(recipe, place)
        assert folder.recipe() == recipe
        weights.append(load_model(folder.path)[0].state_dict())
    assert same_tensors(*weights)


@pytest.mark.usefixtures("without_a_compiler")
def test_compile_is_refused_where_it_cannot_be(make_training):
    training = make_training()
    settings = TrainerSettings(compile=True)
    with pytest.raises(ValueError, match="leave it out, or train without a pipeline"):
        loop.stepper(LocalTrainer(training.learner, settings), alone=False)
    with pytest.raises(ValueError, match="those of a stream have any; leave compile out"):
        OnlineLearning(training.learner, settings)
