"""Recipes: each can be built, written down, read back and run; every option changes the run."""

from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onward.algorithms import Algorithm, DeeperForward, PredSim, RandomFeatures
from onward.core import Learner, TrainerSettings
from onward.data import Augmentation, DataSettings, Splits, from_arrays
from onward.data.named import NAMED_SETS
from onward.nets import Architecture, TinyCNN
from onward.recipes import CONTROLS, RECIPES, Recipe, control
from onward.runs import spec_for
from onward.runs.codec import decode, encode
from onward.training import StepDone, Training

_ALL = (*RECIPES, *(control(row, "backprop") for row in RECIPES))
_NAMES = [recipe.name for recipe in _ALL]
_OTHERS = [
    control(row, kind)
    for row in RECIPES
    for kind in CONTROLS
    if (kind == "deep_supervision" and row.algorithm.passes_gradients)
    or (kind == "random_features" and not isinstance(row.algorithm, RandomFeatures))
    or kind in ("recompute", "accumulate")
]
_SIZES = {named.name: (named.default_size, named.channels, named.num_classes) for named in NAMED_SETS}
_SMALL = 2_000_000  # parameters


def _look_alike(recipe: Recipe) -> Splits:
    """Random images of the size, colors and number of classes that the recipe's data have."""
    size, channels, num_classes = _SIZES.get(recipe.data.name, (8, 1, 10))
    side = recipe.data.size or size
    images = np.random.default_rng(0).integers(0, 256, (6 * num_classes, channels, side, side), dtype=np.uint8)
    return from_arrays(images, np.arange(6 * num_classes) % num_classes)


def _parameters(recipe: Recipe) -> int:
    size, channels, num_classes = _SIZES.get(recipe.data.name, (8, 1, 10))
    return _counted(recipe.algorithm, recipe.net, channels, recipe.data.size or size, num_classes)


@cache  # controls of a row that differ in the trainer have one network
def _counted(algorithm: Algorithm, net: Architecture, channels: int, side: int, num_classes: int) -> int:
    with torch.device("meta"):
        learner: Learner = algorithm(net((channels, side, side), num_classes), num_classes)
    return sum(p.numel() for p in learner.parameters())


def _first_steps(recipe: Recipe, steps: int) -> tuple[set[int], set[int]]:
    """Take steps on look-alike images, whose losses stay finite; return the changed blocks and the trained ones."""
    data = _look_alike(recipe)
    learner = spec_for(recipe.algorithm, recipe.net, data).build(seed=recipe.seed)
    before = [[p.detach().clone() for p in block.parameters() if p.requires_grad] for block in learner.blocks]
    augmentation = recipe.data.augmentation
    training = Training(learner, data, recipe.trainer, epochs=99, batch_size=8, seed=0, augmentation=augmentation)
    for event in training:
        if isinstance(event, StepDone) and training.step == steps:
            break
    training.check()
    now = [[p for p in block.parameters() if p.requires_grad] for block in learner.blocks]
    same = [
        all(torch.equal(old, new) for old, new in zip(*pair, strict=True)) for pair in zip(before, now, strict=True)
    ]
    trained = {k for span in learner.spans for k in range(span.first, span.last + 1) if before[k]}
    return {k for k, unchanged in enumerate(same) if not unchanged}, trained


def test_names_are_unique_and_computed_from_method_data_variant_and_scale():
    assert len(set(_NAMES)) == len(_NAMES)
    for row in RECIPES:
        words = (row.method, row.data.name, row.variant, row.scale)
        assert row.method and row.name == "-".join(word for word in words if word)


def test_a_row_of_ones_own_is_named_after_its_algorithm_and_its_images():
    own = replace(_BASE, name="", data=DataSettings(name="/some where/my pets"))
    assert own.name == "deeperforward-my_pets"
    assert replace(own, name="", method="mine", variant="wide", scale="gpu").name == "mine-my_pets-wide-gpu"


def _kinds() -> list[list[Recipe]]:
    """Recipes of one algorithm, or controls of one, on one kind of network and one data set."""
    found: dict[Any, list[Recipe]] = {}
    for recipe in _ALL:
        methods = type(recipe.algorithm), type(getattr(recipe.algorithm, "of", None))
        found.setdefault((methods, type(recipe.net), recipe.data.name), []).append(recipe)
    return [*found.values()]


@pytest.mark.parametrize("kind", _kinds(), ids=lambda kind: kind[0].name)
def test_a_small_recipe_of_every_kind_takes_two_steps(kind: list[Recipe]):
    small = next((recipe for recipe in kind if _parameters(recipe) <= _SMALL), None)
    if small is None:
        pytest.skip(f"more than {_SMALL} parameters: a slow test takes its steps")
    changed, trained = _first_steps(small, 2)
    assert changed == trained


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("recipe", _ALL, ids=_NAMES)
def test_every_recipe_takes_twenty_steps(recipe: Recipe):
    changed, trained = _first_steps(recipe, 20)
    assert changed == trained


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("recipe", _OTHERS, ids=lambda recipe: recipe.name)
def test_every_further_control_takes_two_steps(recipe: Recipe):
    changed, trained = _first_steps(recipe, 2)
    assert changed == trained


def test_every_further_control_has_a_network():
    assert all(_parameters(recipe) for recipe in _OTHERS)


def test_every_recipe_is_written_down_and_read_back():
    assert [recipe.name for recipe in _ALL if decode(encode(recipe)) != recipe] == []


_BASE = Recipe(
    name="base",
    description="",
    algorithm=DeeperForward(),
    net=TinyCNN(width=10, dropout=0.1),
    data=DataSettings(name="digits"),
    trainer=TrainerSettings(learning_rate=0.01),
    epochs=2,
    batch_size=16,
)
_CHANGES = {
    "seed": replace(_BASE, seed=1),
    "epochs": replace(_BASE, epochs=3),
    "batch_size": replace(_BASE, batch_size=8),
    "width": replace(_BASE, net=TinyCNN(width=20, dropout=0.1)),
    "dropout": replace(_BASE, net=TinyCNN(width=10, dropout=0.2)),
    **{
        name: replace(_BASE, trainer=replace(_BASE.trainer, **{name: value}))
        for name, value in {
            "optimizer": "sgd",
            "learning_rate": 0.02,
            "final_learning_rate": 0.005,
            "schedule": "linear",
            "schedule_every": "epoch",
            "warmup": 0.5,
            "weight_decay": 0.3,
            "clip_norm": 1e-4,
            "ema_decay": 0.5,
            "precision": "bf16",
            "micro_batches": 2,
            "order": "cascade",
        }.items()
    },
    **{
        name: replace(_BASE, data=replace(_BASE.data, augmentation=Augmentation(**{name: value})))
        for name, value in {
            "crop": 1,
            "flip": True,
            "alternate_flip": True,
            "rotation": 20.0,
            "resized_crop": 0.5,
            "cutout": 3,
        }.items()
    },
}


def _weights(recipe: Recipe) -> torch.Tensor:
    data = _look_alike(recipe)
    learner = spec_for(recipe.algorithm, recipe.net, data).build(seed=recipe.seed)
    training = Training(
        learner,
        data,
        recipe.trainer,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        augmentation=recipe.data.augmentation,
    )
    for _ in training:
        pass
    training.finish()
    return torch.cat([p.detach().flatten() for p in learner.parameters()])


@pytest.mark.parametrize("change", _CHANGES)
def test_every_option_changes_the_run(change: str):
    ours, theirs = _weights(_BASE), _weights(_CHANGES[change])
    assert ours.shape != theirs.shape or not torch.equal(ours, theirs)


def test_padding_changes_a_cropped_run():
    cropped = [
        replace(_BASE, data=replace(_BASE.data, augmentation=Augmentation(crop=2, padding=padding)))
        for padding in ("zeros", "reflect")
    ]
    assert not torch.equal(*map(_weights, cropped))


def test_momentum_changes_an_sgd_run():
    sgd = replace(_BASE, trainer=replace(_BASE.trainer, optimizer="sgd"))
    heavy = replace(sgd, trainer=replace(sgd.trainer, momentum=0.5))
    assert not torch.equal(_weights(sgd), _weights(heavy))


def test_the_share_of_adamw_changes_a_muon_run():
    muon = replace(_BASE, algorithm=PredSim(beta=0.0), trainer=replace(_BASE.trainer, optimizer="muon"))
    other = replace(muon, trainer=replace(muon.trainer, adamw_lr_scale=0.5))
    assert not torch.equal(_weights(muon), _weights(other))


def test_the_list_of_options_is_complete():
    tried = {*_CHANGES, "momentum", "adamw_lr_scale", "padding"}
    parts: tuple[Any, ...] = (_BASE.trainer, _BASE.net, _BASE.data.augmentation)
    asked = {f.name for part in parts for f in fields(part)}
    # Layout, caching, recomputing, graphs, programs and one step over all blocks must NOT change a run; colors need
    # color images (tests of augmentation).
    same = {"channels_last", "cache_activations", "recompute", "capture", "compile", "step_together"}
    assert asked - tried == {*same, "color_jitter", "grayscale"}


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "learning_rate": st.floats(allow_nan=True, allow_infinity=True),
            "final_learning_rate": st.floats(allow_nan=True, allow_infinity=True),
            "weight_decay": st.floats(allow_nan=True),
            "momentum": st.floats(-1, 2),
            "warmup": st.floats(-1, 2),
            "clip_norm": st.none() | st.floats(allow_nan=True),
            "ema_decay": st.none() | st.floats(-1, 2),
            "micro_batches": st.integers(-1, 3),
            "cache_activations": st.booleans(),
            "order": st.sampled_from(["joint", "cascade"]),
        },
    )
)
def test_settings_are_refused_with_a_reason_or_survive_writing(values: dict):
    try:
        settings = TrainerSettings(**values)
    except ValueError as error:
        assert any(name in str(error) for name in values)
    else:
        assert decode(encode(settings)) == settings
        assert settings.learning_rate_at(0, 10, 3) >= 0


@given(epochs=st.integers(-3, 3), batch_size=st.integers(-3, 3), seed=st.integers(-3, 2**64))
def test_recipes_are_refused_with_the_value_or_survive_writing(epochs: int, batch_size: int, seed: int):
    try:
        recipe = replace(_BASE, epochs=epochs, batch_size=batch_size, seed=seed)
    except ValueError as error:
        assert any(f"got {value}" in str(error) for value in (epochs, batch_size, seed))
    else:
        assert decode(encode(recipe)) == recipe


def test_everything_in_a_recipe_is_settings():
    def check(value) -> None:
        if isinstance(value, tuple):
            assert all(isinstance(word, str) for word in value), value
            return
        assert is_dataclass(value) or value is None or isinstance(value, bool | int | float | str), value
        for field in fields(value) if is_dataclass(value) else ():
            check(getattr(value, field.name))

    for recipe in _ALL:
        check(recipe)
