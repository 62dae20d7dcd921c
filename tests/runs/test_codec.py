"""Settings as JSON: what is read back is what was written, or the field at fault is named."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from onward.algorithms import Algorithm, DeeperForward, MonoForward
from onward.algorithms import ForwardForward as BuiltIn
from onward.core import Learner, TrainerSettings
from onward.nets import MLP, Architecture, Net
from onward.recipes import ROWS, Recipe
from onward.runs.codec import decode, encode, with_first_names


@dataclass(frozen=True)
class OwnNet(MLP):
    """A network that is not onward's."""


@dataclass(frozen=True)
class ForwardForward(BuiltIn):
    """A method that has the name of one of onward's."""


class Plain(Algorithm):
    """A method that is no dataclass."""

    def __call__(self, net: Net, num_classes: int) -> Learner:
        return MonoForward()(net, num_classes)


def test_a_method_without_fields_is_not_written():
    with pytest.raises(ValueError, match=r"Plain is no dataclass.*write @dataclass\(frozen=True, kw_only=True\)"):
        encode(Plain())


_MISSING = object()


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        ("epochs", "3", "epochs of here must be a whole number, got '3'"),
        ("epochs", True, "epochs of here must be a whole number, got True"),
        ("epochs", 2.0, "epochs of here must be a whole number, got 2.0"),
        ("epochs", 2**63, "epochs of here must be a whole number"),
        ("epochs", 0, "here: epochs of Recipe must be .*, got 0"),
        ("epochs", None, "epochs of here must be a whole number, got None"),
        ("epochs", _MISSING, "here: .*'epochs' is missing"),
        ("color", "blue", "here: .*'color' is not known"),
        ("type", _MISSING, "here is of an unknown kind, None"),
        ("type", ["Recipe"], "here is of an unknown kind"),
        ("type", {}, "here is of an unknown kind"),
        ("type", "os.system", "here: unknown .*'os.system'"),
        ("type", "MLP", "here must be settings of Recipe, got those of MLP"),
        ("algorithm", {"type": "MLP"}, "algorithm of here must be settings of Algorithm, got those of MLP"),
        ("algorithm", "DeeperForward", "algorithm of here must be settings of Algorithm, got 'DeeperForward'"),
        (
            "algorithm",
            {"type": "DeeperForward", "goodness": "max"},
            "goodness of algorithm of here must be one of mean",
        ),
        (
            "algorithm",
            {"type": "DeeperForward", "temperature": []},
            "temperature of algorithm of here must be a number",
        ),
        ("net", {"type": "MLP", "width": {"type": "MLP"}}, "width of net of here must be a whole number"),
        ("net", {"type": "MLP", "width": -1}, "net of here: width of MLP must be .*, got -1"),
        ("published", 0.9, "published of here must be Published or null, got 0.9"),
        ("variant", 3, "variant of here must be text, got 3"),
        ("data", None, "data of here must be settings of DataSettings, got None"),
    ],
)
def test_a_wrong_form_names_the_field(place: str, value: Any, says: str, toy_recipe: Recipe):
    content = {**encode(toy_recipe), place: value}
    if value is _MISSING:
        del content[place]
    with pytest.raises(ValueError, match=says):
        decode(content, Recipe, "here")


@pytest.mark.parametrize("value", [None, 3, "Recipe", [], [[]], True])
def test_what_is_no_object_is_no_recipe(value: Any):
    with pytest.raises(ValueError, match="here must be settings of Recipe"):
        decode(value, Recipe, "here")


def test_a_whole_number_is_a_number_too(toy_recipe: Recipe):
    content = encode(toy_recipe)
    content["trainer"]["learning_rate"] = 1
    assert decode(content, Recipe, "here").trainer.learning_rate == 1


@pytest.mark.parametrize("own", [OwnNet(), ForwardForward()])
def test_a_class_of_ones_own_is_refused_by_name_whatever_it_is_called(own: Any):
    with pytest.raises(ValueError, match=rf"test_codec\.{type(own).__name__} is not registered.*keep"):
        encode(own)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (object(), "settings is object"),
        (MonoForward, "settings is the class"),
        ([float("nan")], "settings is nan"),
        ({1}, "settings is set"),
    ],
)
def test_a_value_that_cannot_be_read_back_is_refused(value: Any, says: str):
    with pytest.raises(ValueError, match=says):
        encode(value)


def test_a_network_is_read_as_a_network():
    assert decode(encode(MLP(width=7)), Architecture, "here") == MLP(width=7)


@pytest.mark.parametrize("name", ["deeper_forward-cifar10-square_length", "trifecta-fashion_mnist-cpu"])
def test_settings_of_an_older_file_are_read_by_the_names_of_today(name: str):
    """Fields were renamed on 28 November 2026: `averaging`, `adamw_share`, `normaliser`."""
    row = ROWS[name]
    row = replace(row, trainer=replace(row.trainer, ema_decay=0.5))
    old = with_first_names(encode(row))
    assert old["trainer"]["averaging"] == 0.5 and "adamw_share" in old["trainer"] and "ema_decay" not in old["trainer"]
    assert ("normaliser" in old["algorithm"]) == (
        row.algorithm == DeeperForward(goodness="mean_square", normalizer="length")
    )
    assert decode(old, Recipe) == row and with_first_names(old) == old


def test_a_field_under_both_names_is_refused():
    content = {**encode(TrainerSettings()), "averaging": 0.9}
    with pytest.raises(ValueError, match="'averaging' is not known"):
        decode(content, TrainerSettings)
