"""The trial before a run: what cannot be trained is refused with a remedy, and nothing is drawn for it."""

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import nn

from onward.algorithms import ALGORITHMS, ASGE, HCLFF, Backprop, DecoupledGreedy, ForwardForward, MonoForward, PredSim
from onward.core import Auxiliary, Goodness, Learner, LocalTrainer, Span, Target, TrainerSettings
from onward.data import Splits, from_arrays
from onward.modules import local
from onward.nets import MLP, VGG8, TinyCNN, VGG8b
from onward.recipes import RECIPES, Recipe
from onward.runs import ModelSpec, RunOptions, fit, train
from onward.runs.trial import try_out
from onward.training import OnlineLearning


def _spec(algorithm, net, side: int = 2) -> ModelSpec:
    return ModelSpec(algorithm, net, (1, side, side), tuple("0123456789"), (0.5,), (0.3,))


@pytest.mark.parametrize(
    ("algorithm", "net", "says"),
    [
        (ForwardForward(), MLP(width=10, depth=2), "cannot carry a label of 10 values"),
        (ASGE(), VGG8(width=4), "cannot be cut into"),
        (DecoupledGreedy(shifted=2), MLP(width=10, depth=2), "2x2 pixels cannot be shifted by 2: choose at most 1"),
    ],
)
def test_parts_that_do_not_fit_the_images_are_refused(algorithm, net, says: str):
    with pytest.raises(ValueError, match=says):
        try_out(_spec(algorithm, net).build(), TrainerSettings(), batch_size=8)


@pytest.mark.parametrize(("batch_size", "pieces"), [(1, 1), (4, 4), (3, 2)])
def test_a_batch_norm_that_would_see_one_value_is_refused_with_the_flags_that_help(batch_size: int, pieces: int):
    spec, settings = _spec(Backprop(), VGG8b(width=2), side=1), TrainerSettings(micro_batches=pieces)
    with pytest.raises(ValueError, match=r"single value per channel.*--batch-size.*--trainer\.micro-batches"):
        try_out(spec.build(), settings, batch_size=batch_size)
    try_out(spec.build(), replace(settings, micro_batches=1), batch_size=2)


def test_online_learning_says_the_same_of_a_single_image():
    online = OnlineLearning(_spec(Backprop(), VGG8b(width=2), side=1).build(), TrainerSettings())
    with pytest.raises(ValueError, match="single value per channel"):
        online.partial_fit(torch.zeros(1, 1, 1, 1), [0])


def test_blocks_that_are_not_trained_say_the_same_of_a_single_image():
    learner = _spec(ASGE(random_features=True), VGG8b(width=10), side=1).build().train()
    trainer = LocalTrainer(learner, TrainerSettings())
    with pytest.raises(ValueError, match="single value per channel"):
        trainer.advance((torch.zeros(1, 1, 1, 1),), 0, len(learner.blocks), step=0)


def test_a_model_of_ones_own_says_the_same_of_a_single_row():
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))
    rows, labels = torch.randn(4, 4), torch.arange(4) % 3
    trained = local(model, (rows, labels), MonoForward())
    with pytest.raises(ValueError, match=r"single value per channel.*drop_last=True.*evaluation mode"):
        trained.step((rows[:1], labels[:1]))


def test_a_trial_draws_no_random_number_and_leaves_a_learner_as_it_was():
    learner, before = _spec(Backprop(), VGG8b(width=2), side=8).build(seed=3), torch.random.get_rng_state()
    first = {name: value.clone() for name, value in learner.state_dict().items()}
    try_out(learner, TrainerSettings(ema_decay=0.9), batch_size=4)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(value, first[name]) for name, value in learner.state_dict().items())
    assert learner.training and all(parameter.grad is None for parameter in learner.parameters())


def test_a_run_that_cannot_be_trained_leaves_no_folder(toy_recipe: Recipe, place: RunOptions):
    with pytest.raises(ValueError, match="cannot carry a label"):
        recipe = replace(toy_recipe, algorithm=ForwardForward(), net=MLP(width=10, depth=2))
        train(replace(recipe, data=replace(recipe.data, size=3)), place)
    assert not Path(place.runs_dir).exists()


def test_fit_says_it_too(toy_data: Splits):
    images = toy_data.train.pixels[:, :, :1, :1]
    labels = toy_data.train.labels
    with pytest.raises(ValueError, match="cannot carry a label"):
        fit(ForwardForward(), MLP(width=10, depth=2), from_arrays(images, labels), epochs=1, device="cpu")


@pytest.mark.parametrize("reach", [0.5, 4.0, 15.0, 300.0, 1e6])
def test_images_of_any_unit_are_tried_out_in_that_unit(reach: float):
    inputs = torch.linspace(-reach, reach, 40 * 64).view(40, 1, 8, 8)
    data = from_arrays(inputs, torch.arange(40) % 2)
    learner = fit(MonoForward(), TinyCNN(width=4, dropout=0.0), data, epochs=1)
    assert learner.input_form == data.inputs and not data.inputs.unit


class _Undecorated(MonoForward):
    features: int = 3


@dataclass(frozen=True)
class _Untyped(MonoForward):
    features = 3


@dataclass(frozen=True)
class _Typed(MonoForward):
    features: int = 3
    standardize: ClassVar[bool] = False


def test_another_default_that_has_no_effect_is_refused(toy_data: Splits):
    for algorithm in (_Undecorated(), _Untyped()):
        with pytest.raises(ValueError, match=r"gives features another default, which has no effect .*: TYPE = VALUE"):
            fit(algorithm, MLP(width=6), toy_data, epochs=1)
    assert fit(_Typed(), MLP(width=6), toy_data, epochs=1).blocks


def test_blocks_that_no_span_has_are_told():
    learner = _spec(MonoForward(), MLP(width=20, depth=3)).build()
    learner.turns = ((Span(0, 0), Span(2, 2)),)
    with pytest.warns(UserWarning, match="no span has the blocks 1, which stay as they were drawn"):
        try_out(learner, TrainerSettings(), batch_size=8)
    learner.blocks[1].requires_grad_(False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try_out(learner, TrainerSettings(), batch_size=8)


def test_a_module_that_cannot_be_copied_is_named_a_successor():
    learner = _spec(MonoForward(), MLP(width=20, depth=2)).build()
    layer = next(part for part in learner.blocks[0].modules() if isinstance(part, nn.Linear))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nn.utils.weight_norm(layer)
    layer(torch.zeros(1, layer.in_features))
    with pytest.raises(ValueError, match=r"cannot be copied .*successor in torch\.nn\.utils\.parametrizations"):
        try_out(learner, TrainerSettings(), batch_size=8)


class _Scores(Goodness):
    """Scores of another form than they have to be."""

    per_class = True

    def __init__(self, form):
        super().__init__()
        self.form, self.weight = form, nn.Parameter(torch.ones(()))

    def forward(self, activity: torch.Tensor) -> torch.Tensor:
        return self.form(self.weight * activity.flatten(1))


class _Extra(Auxiliary):
    """A loss of its own on the activity."""

    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def forward(self, activity: torch.Tensor, target: Target) -> torch.Tensor:
        return self.loss(activity)


def _changed(**slots) -> Learner:
    """Return a learner whose blocks have other slots."""
    learner = _spec(MonoForward(), MLP(width=20, depth=2)).build()
    for block in learner.blocks:
        for name, part in slots.items():
            setattr(block, name, part)
    return learner


_UNREGISTERED = torch.zeros(20, requires_grad=True)


@pytest.mark.parametrize(
    ("slots", "says"),
    [
        ({"goodness": _Scores(lambda a: a[:, :15])}, "give 15 scores for 10 classes"),
        ({"goodness": _Scores(lambda a: a[:, 0])}, r"_Scores of block 0 gives scores \[2\], and .* one per class"),
        ({"auxiliary": _Extra(lambda a: (a - a).sum(1).log())}, r"loss of block 0 is -?(inf|nan) before .* _Extra"),
        ({"auxiliary": _Extra(lambda a: a @ _UNREGISTERED)}, r"gradient to a tensor \[20\] that no module .* _Extra"),
    ],
)
def test_parts_of_ones_own_that_cannot_be_meant_are_refused(slots, says: str):
    with pytest.raises(ValueError, match=says):
        try_out(_changed(**slots), TrainerSettings(), batch_size=8)


def test_a_trial_leaves_no_gradient_behind_a_closure():
    learner = _changed()
    below = learner.blocks[0].body
    learner.blocks[1].auxiliary = _Extra(lambda a: next(below.parameters()).square().sum().expand(1))
    try_out(learner, TrainerSettings(), batch_size=8)
    assert all(p.grad is None for p in learner.parameters())


@pytest.mark.parametrize("algorithm", [PredSim(), HCLFF(tree="")])
def test_losses_that_compare_images_are_told_where_settings_change_them(algorithm):
    plain, settings = _spec(algorithm, MLP(width=20, depth=2)), TrainerSettings()
    try_out(plain.build(), settings, batch_size=8)
    with pytest.warns(
        UserWarning, match=r"compares the images of a batch, and in 4 micro-batches those of each alone, 2"
    ):
        try_out(plain.build(), replace(settings, micro_batches=4), batch_size=8)
    weighed = replace(plain, class_weights=(1.0,) * 10)
    with pytest.warns(UserWarning, match="class_weights weigh the loss of the scores alone, not S"):
        try_out(weighed.build(), settings, batch_size=8)
    alone = _spec(MonoForward(), MLP(width=20, depth=2))
    try_out(replace(alone, class_weights=(1.0,) * 10).build(), replace(settings, micro_batches=4), batch_size=8)


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda kind: kind.__name__)
def test_every_method_is_tried_trained_and_evaluated(algorithm):
    images, labels = torch.rand(60, 1, 8, 8), torch.arange(60) % 10
    data = from_arrays(images, labels, validation_fraction=1 / 3, test_fraction=1 / 3)
    learner = fit(algorithm(), MLP(width=20, depth=2), data, epochs=1, batch_size=10, device="cpu")
    assert learner.history[-1].validation_accuracy is not None
    assert learner.predict(images).unique().max() < 10


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_every_recipe_is_tried_and_keeps_its_weights(recipe: Recipe):
    known = {"digits": (1, 8, 8), "mnist": (1, 28, 28), "fashion_mnist": (1, 28, 28)}
    shape = known.get(recipe.data.name, (3, 32, 32))
    classes = tuple(map(str, range(100 if recipe.data.name == "cifar100" else 10)))
    spec = ModelSpec(recipe.algorithm, recipe.net, shape, classes, (0.5,) * shape[0], (0.3,) * shape[0])
    learner = spec.build()
    before = {name: value.clone() for name, value in learner.state_dict().items()}
    try_out(learner, recipe.trainer, batch_size=recipe.batch_size)
    assert all(torch.equal(value, before[name]) for name, value in learner.state_dict().items())
