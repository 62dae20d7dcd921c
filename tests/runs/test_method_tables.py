"""Tables of methods: which record stands in a cell, what stands beside it, and who counts as trained alike."""

from collections.abc import Mapping
from typing import Any

import pytest

from onward.runs.method_tables import overview, printed, shared


def _runs(method: str, *test: float, validation: float = 0.5, config: Any = None, **more: Any) -> list[dict[str, Any]]:
    way = {"net": {"type": "MLP"}, "data": {"name": "mnist"}, "epochs": 4, "batch_size": 8, "trainer": {}}
    return [
        {
            "recipe": f"{method}-{k}",
            "seed": k,
            "test_accuracy": accuracy,
            "validation_accuracy": validation,
            "data": "mnist",
            "data_note": "",
            "epochs": 4,
            "backprop_recipe": None,
            "published": None,
            "config": {"algorithm": {"type": method}, **way, **(config or {})},
            **more,
        }
        for k, accuracy in enumerate(test)
    ]


def _rows(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("| `")]


def test_a_cell_has_the_mean_the_published_number_and_the_control():
    published = {"test_accuracy": 0.99, "source": "somebody"}
    records = {
        "a": _runs("A", 0.90, 0.92, backprop_recipe="c", published=published),
        "b": _runs("B", 0.8, data="digits", backprop_recipe="lost", config={"data": {"name": "digits"}}),
        "c": _runs("Backprop", 0.95),
    }
    lines = overview(records)
    assert "| method | digits | mnist |" in lines
    assert _rows(lines) == ["| `A` |  | 91.00 / 99.00 / 95.00 |", "| `B` | 80.00 / – / – |  |"]


def test_a_recipe_that_names_another_control_today_stands_beside_that_one():
    recipe = "mono_forward-mnist-fast"
    records = {
        recipe: _runs("A", 0.9, recipe=recipe, backprop_recipe="c"),
        "c": _runs("Backprop", 0.95),
        "backprop-distance_forward-mnist-fast": _runs("Backprop", 0.97),
    }
    assert _rows(overview(records)) == ["| `A` | 90.00 / – / 97.00 |"]


def test_published_numbers_stand_where_nothing_was_run():
    records = {"a": _runs("A", 0.9, data_note="MNIST, half")}
    lines = overview(records, published={"A": {"cifar100": 0.5}, "C": {"mnist": 0.98}})
    assert "| method | cifar100 | MNIST, half |" in lines
    assert _rows(lines) == ["| `A` | – / 50.00 / – | 90.00 / – / – |", "| `C` |  | – / 98.00 / – |"]
    known = printed()
    assert known["CwComp"]["cifar100"] == 0.5123 and known["ASGE"]["mnist"] == 0.9965
    assert known["DeeperForward"]["mnist"] == 0.9965  # of VGG14 and ResNet17 the higher one


def test_a_row_without_a_published_number_of_its_own_has_the_highest_of_its_method():
    own = _runs("A", 0.9, published={"test_accuracy": 0.95, "source": "somebody"})
    known = {"A": {"mnist": 0.99}}
    assert _rows(overview({"a": own}, published=known)) == ["| `A` | 90.00 / 95.00 / – |"]
    assert _rows(overview({"a": _runs("A", 0.9)}, published=known)) == ["| `A` | 90.00 / 99.00 / – |"]


def test_what_a_step_costs_stands_beside_where_it_was_measured():
    costs = {"A": {"parameters_M": 1.234, "memory_of_backprop": 0.345, "step_of_backprop": 0.678}}
    lines = overview({"a": _runs("A", 0.9), "b": _runs("B", 0.8)}, costs)
    assert "| method | mnist | weights | memory | step |" in lines
    assert _rows(lines) == ["| `A` | 90.00 / – / – | 1.23 M | 0.34 | 0.68 |", "| `B` | 80.00 / – / – |  |  |  |"]
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1


def test_of_several_recipes_validation_chooses_and_not_the_test_split():
    records = {"good": _runs("A", 0.8, validation=0.9), "lucky": _runs("A", 0.99, validation=0.7)}
    for order in (records, dict(reversed(records.items()))):
        assert _rows(overview(order)) == ["| `A` | 80.00 / – / – |"]


def test_without_a_local_method_there_is_no_table():
    assert overview({"c": _runs("Backprop", 0.9)}) == [] == overview({})


def _alike(config: Any = None) -> Mapping[str, list[dict[str, Any]]]:
    last = _runs("C", 0.8, config=config)
    controlled = _runs("B", 0.9, backprop_recipe="bp")
    return {"a": _runs("A", 0.7), "b": controlled, "c": last, "bp": _runs("Backprop", 0.95)}


def test_three_methods_trained_alike_are_listed_best_first_beside_their_controls():
    lines = shared(_alike({"trainer": {"adamw_share": 0.1}}))  # which a method's own read-out needs
    assert "| method | test % | backprop % | recipe |" in lines
    assert _rows(lines) == [
        "| `B` | 90.00 | 95.00 | `B-0` |",
        "| `C` | 80.00 |  | `C-0` |",
        "| `A` | 70.00 |  | `A-0` |",
    ]


@pytest.mark.parametrize(
    "other",
    [
        {"net": {"type": "CNN"}},
        {"data": {"name": "mnist", "size": 32}},
        {"epochs": 5},
        {"batch_size": 9},
        {"trainer": {"optimizer": "sgd"}},
    ],
)
def test_whoever_differs_in_network_data_or_budget_is_not_listed_with_the_others(other: dict[str, Any]):
    assert shared(_alike())
    assert shared(_alike(other)) == []


def test_a_setting_of_none_that_an_older_record_lacks_makes_no_difference():
    assert shared(_alike({"data": {"name": "mnist", "buffer": None}}))
    assert shared(_alike({"data": {"name": "mnist", "buffer": 9}})) == []


def test_seeds_and_recipes_of_one_method_are_not_several_methods():
    assert shared({"a": _runs("A", 0.7, 0.8, 0.9), "b": _runs("A", 0.9), "c": _runs("B", 0.9)}) == []
