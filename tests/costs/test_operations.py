"""Operations of trainings: counted on a step, the same for an image in every batch, kept and not counted twice."""

from dataclasses import replace
from pathlib import Path

import pytest

from onward.algorithms import Backprop, CwComp, DeeperForward
from onward.core import TrainerSettings
from onward.costs import operations
from onward.costs.operations import Operations, count, count_missing, kept, key, of_record
from onward.data import DataSettings
from onward.nets import MLP
from onward.recipes import RECIPES, Recipe
from onward.runs.records import Record
from toy_trainings import toy_result

_RECIPE = replace(RECIPES[0], net=MLP(width=20, depth=2), batch_size=50, epochs=3)


def _record(recipe: Recipe = _RECIPE, images: int | None = 170) -> Record:
    return Record(recipe, toy_result(recipe, n_train=images))


def test_backprop_through_linear_layers_is_as_by_hand():
    counted = count(replace(_RECIPE, algorithm=Backprop()))
    forward = 2 * (64 * 20 + 20 * 20 + 20 * 10)
    inputs = 2 * (20 * 20 + 20 * 10)  # no gradient of the images
    assert counted == Operations(2 * forward + inputs, 0)


@pytest.mark.parametrize("algorithm", [DeeperForward(), Backprop()], ids=["local", "backprop"])
def test_an_image_costs_the_same_in_every_batch(algorithm, monkeypatch: pytest.MonkeyPatch):
    muon = replace(_RECIPE, algorithm=algorithm, trainer=TrainerSettings(optimizer="muon"))
    few = count(muon)
    monkeypatch.setattr(operations, "_BATCH", 40)
    assert count(muon) == few and few.per_step > 0, "Muon's own products are those of a step"


def test_a_block_that_stops_learning_costs_no_gradient_from_then_on():
    always, half, quarter = (
        count(replace(_RECIPE, algorithm=CwComp(first_end=end, last_end=end))).per_image for end in (1.0, 0.5, 0.25)
    )
    assert quarter < half < always and 2 * (always - quarter) == pytest.approx(3 * (always - half), rel=1e-3)


def test_a_training_is_its_whole_batches_epoch_after_epoch():
    assert Operations(10, 7).of_training(images=170, batch_size=50, epochs=3) == 3 * 3 * (50 * 10 + 7)
    assert Operations(10, 7).of_training(images=20, batch_size=50, epochs=1) == 20 * 10 + 7


def test_what_was_counted_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    said: list[str] = []
    longer = replace(_RECIPE, name="longer", epochs=9, batch_size=10, seed=3)
    unknown = replace(_RECIPE, data=DataSettings(name="nobody's"))
    count_missing(tmp_path, [_record(), _record(longer), _record(unknown)], said.append)
    assert said == [f"counting the operations of {_RECIPE.name}"], (
        "epochs and batches do not change what an image costs"
    )
    monkeypatch.setattr(operations, "count", lambda _: pytest.fail("it was counted before"))
    count_missing(tmp_path, [_record(), _record(longer)])
    known = kept(tmp_path)
    assert list(known) == [key(_RECIPE)]
    assert of_record(_record(), known) == 9 * 50 * known[key(_RECIPE)].per_image
    assert of_record(_record(longer), known) == 9 * 17 * 10 * known[key(_RECIPE)].per_image
    assert of_record(_record(unknown), known) is None and of_record(_record(images=None), known) is None
    other = replace(_RECIPE, net=MLP(width=30, depth=2))
    assert of_record(_record(other), known) is None


def test_the_images_of_a_recipe_have_to_be_known():
    with pytest.raises(ValueError, match="the images of deeper_forward-digits are not known"):
        count(replace(_RECIPE, data=DataSettings(name="nobody's")))
