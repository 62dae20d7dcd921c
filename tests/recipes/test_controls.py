"""Controls derived from a row: the same network, data and budget, and exactly one thing changed."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from onward.algorithms import Backprop, DeeperForward, DeepSupervision
from onward.cli import main
from onward.cli.known import find_recipe
from onward.core import TrainerSettings
from onward.data import DataSettings, Splits, from_arrays
from onward.nets import TinyCNN
from onward.recipes import CONTROLS, RECIPES, Recipe
from onward.recipes.controls import DERIVED, accumulated, further_controls, recomputed
from onward.recipes.recipe import control, deep_supervision, renamed
from onward.runs import spec_for
from onward.runs.codec import decode, encode
from onward.training import Training

_LOCAL = Recipe(
    name="method-set",
    description="Method, small net, set: remark",
    algorithm=DeeperForward(),
    net=TinyCNN(width=10, dropout=0.2),
    data=DataSettings(name="digits"),
    trainer=TrainerSettings(learning_rate=0.03, weight_decay=0.1),
    epochs=2,
    batch_size=20,
    backprop="backprop-set-net",
)
_BACKPROP = control(_LOCAL, learning_rate=0.01)


def test_deep_supervision_changes_the_algorithm_and_the_learning_rate_alone():
    deep = deep_supervision(_LOCAL, learning_rate=0.02)
    assert (deep.name, deep.description) == ("deep_supervision-method-set", "Deep supervision, small net, set")
    assert deep.algorithm == DeepSupervision(of=DeeperForward())
    assert deep.trainer == replace(_LOCAL.trainer, learning_rate=0.02)
    same = ("net", "data", "epochs", "batch_size", "seed")
    assert [getattr(deep, name) for name in same] == [getattr(_LOCAL, name) for name in same]
    assert deep.published is None and deep.backprop is None


@pytest.mark.parametrize("make", [control, deep_supervision])
def test_a_control_ends_its_schedule_at_the_same_share_of_its_learning_rate(make):
    local = replace(_LOCAL, trainer=replace(_LOCAL.trainer, final_learning_rate=0.003))
    assert make(local, learning_rate=0.01).trainer.final_learning_rate == pytest.approx(0.001)


def test_the_other_controls_change_one_setting_of_backprop():
    first, second = recomputed(_BACKPROP), accumulated(_BACKPROP, pieces=3)
    assert (first.name, second.name) == ("backprop_recompute-set-net", "backprop_accumulated-set-net")
    texts = {"name": _BACKPROP.name, "description": _BACKPROP.description}
    assert replace(first, **texts, trainer=replace(first.trainer, recompute=False)) == _BACKPROP
    assert replace(second, **texts, trainer=replace(second.trainer, micro_batches=1)) == _BACKPROP
    assert (first.trainer.recompute, second.trainer.micro_batches) == (True, 3)


def test_every_control_ends_at_the_same_share_of_its_learning_rate_as_its_row():
    falling = replace(_LOCAL, trainer=replace(_LOCAL.trainer, final_learning_rate=0.003))
    first = control(falling, learning_rate=0.01)
    for recipe in (first, *further_controls((falling, first))):
        assert recipe.trainer.learning_rate == 0.01
        assert recipe.trainer.final_learning_rate == pytest.approx(0.001)


def test_a_control_of_another_name_is_our_mistake():
    with pytest.raises(AssertionError, match="backprop-NAME, not other-set"):
        renamed("other-set", "deep_supervision")


def test_every_row_implies_three_more_controls_unless_they_are_listed():
    implied = further_controls((_LOCAL, _BACKPROP))
    names = ["deep_supervision-method-set", "backprop_recompute-set-net", "backprop_accumulated-set-net"]
    assert [recipe.name for recipe in implied] == names
    assert implied[0].trainer.learning_rate == _BACKPROP.trainer.learning_rate
    own = deep_supervision(_LOCAL, learning_rate=0.5)
    assert own.name not in {recipe.name for recipe in further_controls((_LOCAL, _BACKPROP, own))}
    assert further_controls((_BACKPROP,)) == ()


def test_the_house_has_all_controls_of_all_rows_under_names_of_their_own():
    rows = [recipe for recipe in RECIPES if recipe.backprop is not None]
    names = [recipe.name for recipe in (*RECIPES, *CONTROLS)]
    assert len(set(names)) == len(names)
    for row in rows:
        assert row.backprop is not None
        shared = {renamed(row.backprop, prefix) for prefix in ("backprop_recompute", "backprop_accumulated")}
        assert shared <= set(names)
        assert (f"deep_supervision-{row.name}" in names) == row.algorithm.passes_gradients


def test_rows_that_share_a_backprop_control_have_deep_supervision_of_their_own():
    other = replace(_LOCAL, name="other-set", algorithm=DeeperForward(goodness="mean_square"))
    names = [recipe.name for recipe in further_controls((_LOCAL, other, _BACKPROP))]
    assert sorted(names) == [
        "backprop_accumulated-set-net",
        "backprop_recompute-set-net",
        "deep_supervision-method-set",
        "deep_supervision-other-set",
    ]


@pytest.mark.parametrize("recipe", CONTROLS, ids=lambda recipe: recipe.name)
def test_derived_controls_are_written_down_read_back_and_found_by_name(recipe: Recipe):
    assert decode(encode(recipe)) == recipe
    assert find_recipe(recipe.name) == recipe  # what the command line asks before it records a result
    assert recipe.data.name in recipe.name
    assert recipe.published is None and recipe.backprop is None


def test_the_list_says_how_derived_controls_are_called_once(capsys: pytest.CaptureFixture[str]):
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    for name in DERIVED:
        assert out.count(name) == 1
        assert out.count(name.partition("-")[0]) == 1


def test_a_misspelt_derived_control_is_answered_with_the_right_name():
    with pytest.raises(ValueError, match="deep_supervision-deeper_forward-digits"):
        find_recipe("deep_supervison-deeper_forward-digits")


def _toy() -> Splits:
    draw = np.random.default_rng(0)
    return from_arrays(draw.integers(0, 256, (60, 8, 8), dtype=np.uint8), np.arange(60) % 10)


def _train(recipe: Recipe) -> tuple[Training, torch.Tensor]:
    data = _toy()
    learner = spec_for(recipe.algorithm, recipe.net, data).build(seed=recipe.seed)
    training = Training(learner, data, recipe.trainer, epochs=2, batch_size=recipe.batch_size)
    list(training)
    return training, torch.cat([p.detach().flatten() for p in learner.parameters()])


def test_recomputing_trains_the_very_same_network_and_accumulating_nearly():
    still = replace(_BACKPROP, net=TinyCNN(width=10, dropout=0.0))  # pieces draw masks of their own
    reference, same, near = [_train(recipe)[1] for recipe in (still, recomputed(still), accumulated(still))]
    assert torch.equal(same, reference)
    assert not torch.equal(near, reference)
    torch.testing.assert_close(near, reference, rtol=1e-3, atol=1e-4)


def test_deep_supervision_starts_from_the_weights_of_the_local_algorithm():
    data, deep = _toy(), deep_supervision(_LOCAL, learning_rate=0.01)
    assert isinstance(_BACKPROP.algorithm, Backprop)
    ours, theirs = [spec_for(r.algorithm, r.net, data).build(seed=1).state_dict() for r in (deep, _LOCAL)]
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
