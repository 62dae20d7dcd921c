"""A whole training in compiled steps, whose graphs run as they are: the plain training, also stopped and resumed."""

import copy
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor, fx

from onward.core import CapturedTrainer, CompiledPrograms, LocalTrainer, TrainerSettings
from onward.costs.step_benchmark import StepBenchmark, shapes_like, variants
from onward.data import Augmentation
from onward.recipes import Recipe
from onward.runs import RunOptions, load_model, train
from onward.training import OnlineLearning, StepDone, Training, loop
from onward.training.neighbors import Alone
from toy_trainings import same_tensors


def _as_it_is(graph: fx.GraphModule, inputs: list[Tensor]) -> fx.GraphModule:
    return graph


class _Stage(Alone):
    """A stage of a pipeline, as far as its steps are made."""

    def __init__(self, *, first: bool = True, replica: int = 0):
        self.owned: range | None = range(1)
        self.first, self.replica, self.replicas = first, replica, 2


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


def test_a_training_of_recorded_steps_is_the_plain_one(make_training):
    settings = {"epochs": 3, "ema_decay": 0.9, "schedule": "constant", "learning_rate": 0.0078125}
    plain, recorded = (make_training(**settings, capture=capture) for capture in ("never", "auto"))
    assert _losses(plain) == _losses(recorded)
    assert same_tensors(plain.state()[0], recorded.state()[0])
    assert isinstance(recorded.stepper, CapturedTrainer) and recorded.stepper.reason is None
    assert any(work.repeat is not None for work in recorded.stepper._recorded.values())
    assert isinstance(plain.stepper, LocalTrainer)


def test_a_training_of_recorded_steps_goes_on_as_it_would_have(make_training):
    whole, stopped, resumed = (make_training(epochs=3, schedule="cosine", capture="auto") for _ in range(3))
    _losses(whole)
    for _, event in zip(range(9), stopped, strict=False):
        assert event is not None
    resumed.load_state(*copy.deepcopy(stopped.state()))
    _losses(resumed)
    assert same_tensors(whole.state()[0], resumed.state()[0])


def test_a_step_that_is_measured_is_a_plain_one(toy_recipe: Recipe):
    recipe = replace(toy_recipe, trainer=replace(toy_recipe.trainer, capture="auto"))
    benchmark = StepBenchmark.of(variants(recipe)[0], recipe, shapes_like(recipe, None), torch.device("cpu"))
    assert benchmark.stepper is benchmark.trainer


@pytest.mark.usefixtures("without_a_compiler")
def test_compile_is_refused_where_it_cannot_be(make_training):
    training = make_training()
    settings = TrainerSettings(compile=True)
    with pytest.raises(ValueError, match="leave it out, or train without a pipeline"):
        loop.stepper(LocalTrainer(training.learner, settings), _Stage())
    with pytest.raises(ValueError, match="those of a stream have any; leave compile out"):
        OnlineLearning(training.learner, settings)


def test_what_does_not_capture_its_steps_says_so(make_training):
    learner, settings = make_training().learner, TrainerSettings(capture="auto")
    says = "^capture 'auto' has no effect, steps run as they are: "
    with pytest.warns(UserWarning, match=f"{says}.* those of a stream have any; leave capture out$"):
        online = OnlineLearning(learner, settings)
    assert isinstance(online.trainer, LocalTrainer)
    trainer = LocalTrainer(learner, settings)
    with pytest.warns(UserWarning, match=f"{says}those of a pipeline wait for messages; leave capture out$"):
        assert loop.stepper(trainer, _Stage()) is trainer
    trainer.learner.to("meta")
    with pytest.warns(UserWarning, match=f"{says}meta devices have no graphs here; leave capture out$"):
        assert loop.stepper(trainer) is trainer


@pytest.mark.filterwarnings("error")
def test_one_process_of_a_pipeline_alone_says_so(make_training):
    trainer = LocalTrainer(make_training().learner, TrainerSettings(capture="auto"))
    for stage in (_Stage(first=False), _Stage(replica=1)):
        assert loop.stepper(trainer, stage) is trainer
    OnlineLearning(trainer.learner, TrainerSettings())
