"""Names of before go on working, with a warning."""

from dataclasses import replace
from importlib import import_module

import pytest
import torch

from onward.algorithms import DeeperForward
from onward.core import TrainerSettings
from onward.core.renamed import Renamed, adopt_overrides


class Base:
    def __init_subclass__(cls):
        adopt_overrides(cls, old="new")

    def new(self):
        return ["base"]

    old = Renamed("new")


@pytest.mark.parametrize(
    ("make", "new", "value"),
    [
        (lambda: TrainerSettings(averaging=0.9), "ema_decay", 0.9),  # pyright: ignore
        (lambda: TrainerSettings(adamw_share=0.5), "adamw_lr_scale", 0.5),  # pyright: ignore
        (lambda: replace(TrainerSettings(), averaging=0.9), "ema_decay", 0.9),  # pyright: ignore
        (lambda: DeeperForward(normaliser="length"), "normalizer", "length"),  # pyright: ignore
    ],
)
def test_a_field_can_be_given_by_its_old_name(make, new, value):
    with pytest.warns(DeprecationWarning, match=f"is now {new}"):
        made = make()
    assert getattr(made, new) == value


def test_a_field_can_be_read_by_its_old_name():
    with pytest.warns(DeprecationWarning, match=r"TrainerSettings\.averaging is now ema_decay"):
        assert TrainerSettings(ema_decay=0.5).averaging == 0.5  # pyright: ignore


def test_one_field_by_two_names_is_refused():
    with pytest.warns(DeprecationWarning), pytest.raises(ValueError, match="give ema_decay alone"):
        TrainerSettings(averaging=0.9, ema_decay=0.5)  # pyright: ignore


def test_a_wrong_value_is_named_by_the_new_name():
    with pytest.warns(DeprecationWarning), pytest.raises(ValueError, match="ema_decay of TrainerSettings must be"):
        TrainerSettings(averaging=2.0)  # pyright: ignore


def test_a_method_is_found_by_its_old_name_with_its_override():
    class Today(Base):
        def new(self):
            return ["today", *super().new()]

    with pytest.warns(DeprecationWarning, match=r"Base\.old is now new"):
        assert Today().old() == ["today", "base"]


def test_an_override_by_the_old_name_is_one_of_the_new():
    with pytest.warns(DeprecationWarning, match=r"Before\.old is now new"):

        class Before(Base):
            def old(self):
                return ["before", *super().old()]

    with pytest.warns(DeprecationWarning):
        assert Before().new() == Before().old() == ["before", "base"]


@pytest.mark.parametrize(
    ("room", "old", "new"),
    [
        ("core", "several_values", "batch_norm_remedies"),
        ("hardware", "QuantisedMemory", "QuantizedMemory"),
        ("parts.auxiliary", "PeerNormalisation", "PeerNormalization"),
        ("parts.body", "Wire", "ErrorChannel"),
        ("parts.body", "gives_maps", "outputs_feature_maps"),
        ("parts.goodness", "Standardised", "Standardized"),
        ("parts.objective", "WithOthers", "AddEarlierGoodness"),
        ("parts.supervision", "LabelledViews", "LabeledViews"),
    ],
)
def test_a_name_of_a_room_is_found_by_its_old_name(room: str, old: str, new: str):
    module = import_module(f"onward.{room}")
    with pytest.warns(DeprecationWarning, match=f"{old} is now {new}"):
        assert getattr(module, old) is getattr(module, new)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = module.nothing


def test_a_read_out_can_be_built_by_the_arguments_of_before():
    goodness = import_module("onward.parts.goodness")
    with pytest.warns(DeprecationWarning, match=r"PooledLinear is now LinearHead\(\.\.\., zero=True\)"):
        pooled = goodness.PooledLinear(3, 4, cells=(2, 2))
    assert type(pooled) is goodness.LinearHead
    assert pooled.linear.in_features == 16 and not pooled.linear.weight.any() and pooled.linear.bias is not None
    with pytest.warns(DeprecationWarning, match="Projection is now LinearHead"):
        maps, rows = (goodness.Projection(3, 4, maps=maps, features=40) for maps in (True, False))
    assert maps.cells == goodness.largest_grid(4, 40) == (2, 4) and rows.cells == (1, 1)
    assert maps.linear.bias is None and maps.linear.weight.any()
    with pytest.warns(DeprecationWarning), pytest.raises(ValueError, match="features must be at least 1, got 0"):
        goodness.Projection(3, 4, maps=False, features=0)


def test_a_cross_entropy_can_be_built_by_the_arguments_of_before():
    objective = import_module("onward.parts.objective")
    with pytest.warns(DeprecationWarning, match=r"TemperedCrossEntropy is now CrossEntropy\(temperature=0\.1\)"):
        assert objective.TemperedCrossEntropy() == objective.CrossEntropy(temperature=0.1)
    with pytest.warns(DeprecationWarning):
        assert objective.TemperedCrossEntropy(temperature=0.5) == objective.CrossEntropy(temperature=0.5)


@pytest.mark.parametrize(("name", "remedy"), [("BlockGoodness", "LastGoodness"), ("FirstBlocks", "head=True")])
def test_a_name_without_a_successor_is_refused_with_the_remedy(name: str, remedy: str):
    with pytest.raises(ImportError, match=f"{name} is no longer there: .*{remedy}"):
        exec(f"from onward.parts.inference import {name}")


@pytest.mark.parametrize("name", ["BestBlock", "SumGoodness"])
def test_an_argument_that_is_gone_is_accepted_at_its_default_alone(name: str):
    rule = getattr(import_module("onward.parts.inference"), name)
    with pytest.warns(DeprecationWarning, match=f"{name}.leave_out is gone"):
        assert isinstance(rule(leave_out=0), torch.nn.Module)
    with pytest.raises(ValueError, match=rf"leave_out=1 is no longer an argument of {name}: mark the head"):
        rule(leave_out=1)


def test_an_argument_of_a_function_that_is_gone_is_told_too():
    similarities, features = import_module("onward.parts.auxiliary").similarities, torch.eye(3)
    with pytest.warns(DeprecationWarning, match=r"similarities\.eps is gone: leave it out"):
        assert torch.equal(similarities(features, eps=1e-8), similarities(features))
    with pytest.raises(ValueError, match=r"eps=0\.1 is no longer an argument of similarities: deviations below 1e-8"):
        similarities(features, eps=0.1)
