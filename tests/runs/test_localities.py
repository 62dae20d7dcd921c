"""Locality of recipes: what is kept is what is measured, and it stands wherever a number of a recipe does."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from onward.algorithms import Backprop, DistanceForward, DistanceForwardPairs, MonoForward
from onward.data import DataSettings
from onward.nets import MLP
from onward.recipes import RECIPES, ROWS, Recipe, find, former
from onward.runs import localities
from onward.runs.localities import in_words, kept, measured, sizes_of
from onward.runs.records import read_records

_RESULTS = Path(__file__).parents[2] / "results"
_KNOWN = {recipe.name: recipe for recipe in RECIPES}
_SMALL = [recipe for recipe in RECIPES if recipe.data.name == "digits" and kept(recipe)]
_EXPECTED = {
    "deeper_forward-digits": "one layer",
    "recurrent_forward_forward-digits": "one layer",
    "hcl_ff-digits": "one layer, auxiliary network",
    "predsim-fashion_mnist-mlp-shared": "one layer, auxiliary network",
    "predsim-cifar10-cross_entropy-cpu": "one layer",
    "distance_forward-digits": "two layers",
    "distance_forward_pairs-digits": "two layers",
    "distance_forward-cifar10-gpu": "two layers",
    "distance_forward-cifar10-plain-cpu": "one layer",
    "distance_forward-cifar10-random_feedback-cpu": "two layers",
    "trifecta-digits": "two layers",
    "cafo-digits": "read-outs alone",
    "cafo-digits-feedback": "all",
    "random_features-digits": "read-outs alone",
    "backprop-deeper_forward-digits": "all",
    "deep_supervision-distance_forward-fashion_mnist-shared": "all",
}


def _measured(recipe: Recipe) -> str:
    sizes = sizes_of(recipe)
    assert sizes is not None
    return str(measured(recipe, sizes))


@pytest.mark.parametrize("recipe", [recipe for recipe in _SMALL if not isinstance(recipe.algorithm, Backprop)])
def test_what_is_kept_is_measured(recipe: Recipe):
    assert kept(recipe) == _measured(recipe), "delete localities.json and make index"


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_all_that_is_kept_is_measured():
    wrong = {r.name: (kept(r), found) for r in RECIPES if kept(r) and (found := _measured(r)) != kept(r)}
    assert not wrong, "delete localities.json and make index"


@pytest.mark.parametrize(("name", "words"), _EXPECTED.items())
def test_recipes_by_how_far_they_reach(name: str, words: str):
    recipe = find(name, ROWS)
    assert recipe is not None and kept(recipe) == words
    assert any((_RESULTS / "runs" / each).is_dir() for each in (name, *former(name)))


def test_every_record_says_how_far_its_gradient_reaches():
    words = {"one layer", "one layer, auxiliary network", "two layers", "all", "read-outs alone"}
    for runs in read_records(_RESULTS).values():
        for run in runs:
            reach = kept(run.recipe)  # what `onward list` and `onward show` say
            assert reach in words and run.result.locality in (None, reach), f"{run.recipe.name}: make index"


def test_what_reaches_two_layers_is_called_so():
    for recipe in RECIPES:
        algorithm = recipe.algorithm
        if isinstance(algorithm, DistanceForward | DistanceForwardPairs):
            assert ("over two layers" in recipe.description) == (algorithm.collaboration != "none"), recipe.name


def test_what_is_not_kept_is_measured_when_asked():
    recipe = replace(_KNOWN["deeper_forward-digits"], algorithm=MonoForward(features=77), net=MLP(width=6, depth=3))
    assert kept(recipe) == "" and in_words(recipe) == "one layer"
    pairs = replace(recipe, algorithm=DistanceForward(collaboration="sliding"))
    assert in_words(pairs) == "two layers"
    own = replace(recipe, data=DataSettings(name="./mine"))
    assert in_words(own) == "" and in_words(own, ((3, 5, 5), 4)) == "one layer"


def test_writing_measures_what_is_asked_and_keeps_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    recipe, other = _KNOWN["mono_forward-digits"], _KNOWN["distance_forward-digits"]
    fresh = replace(recipe, net=MLP(width=6, depth=3))
    monkeypatch.setattr(localities, "KEPT", tmp_path / "kept.json")
    localities._kept.cache_clear()
    try:
        localities.write([recipe, recipe], [other])
        assert list(json.loads(localities.KEPT.read_text()).values()) == ["one layer"]
        assert kept(recipe) == "one layer" and kept(other) == ""
        localities.write([fresh], [recipe])
        assert kept(fresh) == kept(recipe) == "one layer"
    finally:
        localities._kept.cache_clear()
