"""Controls of a row: the same network, data and budget, and exactly one thing changed."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from onward.algorithms import Backprop, CaFo, DeeperForward, DeepSupervision, RandomFeatures
from onward.cli import main
from onward.core import TrainerSettings
from onward.data import DataSettings, Splits, from_arrays
from onward.nets import TinyCNN
from onward.recipes import CONTROLS, RECIPES, Recipe, control
from onward.recipes.lookup import find_recipe
from onward.runs import spec_for
from onward.runs.codec import decode, encode
from onward.training import Training

_LOCAL = Recipe(
    method="method",
    description="small net",
    algorithm=DeeperForward(),
    net=TinyCNN(width=10, dropout=0.2),
    data=DataSettings(name="digits"),
    trainer=TrainerSettings(learning_rate=0.03, final_learning_rate=0.003, weight_decay=0.1),
    epochs=2,
    batch_size=20,
    backprop_rate=0.01,
)


def test_controls_change_what_their_name_says_and_the_learning_rate():
    trainer = replace(_LOCAL.trainer, learning_rate=0.01, final_learning_rate=0.01 * 0.003 / 0.03)
    expected = {
        "backprop": (Backprop(of=DeeperForward()), trainer),
        "deep_supervision": (DeepSupervision(of=DeeperForward()), trainer),
        "recompute": (Backprop(of=DeeperForward()), replace(trainer, recompute=True)),
        "accumulate": (Backprop(of=DeeperForward()), replace(trainer, micro_batches=4)),
        "random_features": (RandomFeatures(), trainer),
    }
    assert expected.keys() == CONTROLS.keys()
    for kind, (algorithm, settings) in expected.items():
        found = control(_LOCAL, kind)
        assert found.name == f"{kind}-method-digits"
        assert (found.algorithm, found.budget()) == (algorithm, _LOCAL.budget())
        assert found.trainer == settings
        assert found.published is None and found.seed == _LOCAL.seed


def test_a_control_has_the_rows_own_learning_rate_where_it_names_none():
    assert control(replace(_LOCAL, backprop_rate=None), "backprop").trainer == _LOCAL.trainer


def test_every_row_has_every_control_that_differs_from_it():
    for row, kind in itertools.product(RECIPES, CONTROLS):
        if kind == "deep_supervision" and not row.algorithm.passes_gradients:
            with pytest.raises(ValueError, match="no control deep_supervision"):
                control(row, kind)
        elif kind == "random_features" and isinstance(row.algorithm, RandomFeatures):
            with pytest.raises(ValueError, match="is a control itself"):
                control(row, kind)
        else:
            found = control(row, kind)
            assert decode(encode(found)) == found
            assert find_recipe(found.name) == found  # what the command line asks before it records a result


@pytest.mark.parametrize(
    ("row", "kind", "says"),
    [
        (_LOCAL, "backprp", r"no control is called 'backprp'; choose backprop, deep_supervision, recompute"),
        (control(_LOCAL, "backprop"), "recompute", "backprop-method-digits is a control itself"),
        (
            replace(_LOCAL, algorithm=CaFo()),
            "deep_supervision",
            "blocks of CaFo.*choose backprop, recompute",
        ),
    ],
    ids=["unknown", "of_a_control", "the_same_again"],
)
def test_what_is_no_control_is_refused_with_a_remedy(row: Recipe, kind: str, says: str):
    with pytest.raises(ValueError, match=says):
        control(row, kind)


def test_the_list_says_which_controls_there_are_once(capsys: pytest.CaptureFixture[str]):
    assert main(["list"]) == 0
    _, _, below = capsys.readouterr().out.partition("controls of every RECIPE")
    assert [line.split()[0] for line in below.splitlines()[1 : len(CONTROLS) + 1]] == list(CONTROLS)


def test_the_error_for_a_misspelled_control_names_the_right_one():
    with pytest.raises(ValueError, match="did you mean deeper_forward-digits"):
        find_recipe("deep_supervision-deper_forward-digits")


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
    still = replace(_LOCAL, net=TinyCNN(width=10, dropout=0.0))  # pieces draw masks of their own
    kinds = ("backprop", "recompute", "accumulate")
    reference, same, near = [_train(control(still, kind))[1] for kind in kinds]
    assert torch.equal(same, reference)
    assert not torch.equal(near, reference)
    torch.testing.assert_close(near, reference, rtol=1e-3, atol=1e-4)


def test_deep_supervision_starts_from_the_weights_of_the_local_algorithm():
    data, deep = _toy(), control(_LOCAL, "deep_supervision")
    ours, theirs = [spec_for(r.algorithm, r.net, data).build(seed=1).state_dict() for r in (deep, _LOCAL)]
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
