"""Tables of methods: which record stands in a cell, what stands beside it, and who counts as trained alike."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from onward.algorithms import ASGE, HFF, Algorithm, Backprop, CaFo, PredSim
from onward.core import TrainerSettings
from onward.data import DataSettings
from onward.nets import MLP, TinyCNN
from onward.recipes import Published, Recipe
from onward.results.tables import best_rows, overview, printed, shared
from onward.runs.records import Record, Row
from toy_trainings import toy_result

METHODS: dict[str, Algorithm] = {"ASGE": ASGE(), "CaFo": CaFo(), "HFF": HFF(), "Backprop": Backprop()}
_LOCALITY = {"ASGE": "one layer", "CaFo": "read-outs alone", "HFF": "one layer", "Backprop": "all"}


def _runs(
    method: str, *test: float, name: str = "", validation: float = 0.5, note: str = "", **changed: Any
) -> list[Record]:
    recipe = Recipe(
        name=name or f"{method}-0",
        description="",
        algorithm=METHODS[method],
        net=MLP(width=20, depth=2),
        data=DataSettings(name="mnist"),
        trainer=TrainerSettings(),
        epochs=4,
        batch_size=8,
    )
    return [
        Record(
            replace(recipe, seed=seed, **changed),
            toy_result(
                replace(recipe, seed=seed, **changed),
                accuracy,
                validation_accuracy=validation,
                data_note=note,
                n_train=54_000,
                n_validation=6_000,
                n_test=10_000,
                locality=_LOCALITY[method],
            ),
        )
        for seed, accuracy in enumerate(test)
    ]


def _records(*runs: Sequence[Record]) -> dict[Row, list[Record]]:
    return {Row(each[0].recipe.name, each[0].data): list(each) for each in runs}


def _rows(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("| `")]


def test_a_cell_has_the_mean_the_published_number_and_the_control():
    published = Published(test_accuracy=0.99, source="somebody")
    records = _records(
        _runs("ASGE", 0.90, 0.92, published=published),
        _runs("CaFo", 0.8, data=DataSettings(name="digits")),
        _runs("Backprop", 0.95, name="backprop-ASGE-0"),
    )
    lines = overview(records)
    assert "| method | locality | digits | MNIST |" in lines
    assert _rows(lines) == [
        "| `ASGE` | one layer |  | 91.00 / 99.00 / 95.00 |",
        "| `CaFo` | read-outs alone | 80.00 / – / – |  |",
    ]


def test_another_rows_control_stands_beside_a_row_if_network_and_budget_are_equal():
    same = Backprop(of=ASGE(power=1))  # another setting, the same network to backprop
    for other, cell in (({}, "97.00"), ({"epochs": 5}, "–"), ({"trainer": TrainerSettings(learning_rate=0.5)}, "–")):
        records = _records(_runs("ASGE", 0.9), _runs("Backprop", 0.97, name="c", **{"algorithm": same, **other}))
        assert _rows(overview(records)) == [f"| `ASGE` | one layer | 90.00 / – / {cell} |"]
    own = _runs("Backprop", 0.95, name="backprop-ASGE-0")
    records = _records(_runs("ASGE", 0.9), _runs("Backprop", 0.97, name="a", algorithm=same), own)
    assert _rows(overview(records)) == ["| `ASGE` | one layer | 90.00 / – / 95.00 |"]


def test_a_control_of_another_network_does_not_stand_beside_a_row():
    other = Backprop(of=CaFo())  # which hands on what its body gives
    records = _records(_runs("ASGE", 0.9), _runs("Backprop", 0.97, name="c", algorithm=other))
    assert _rows(overview(records)) == ["| `ASGE` | one layer | 90.00 / – / – |"]


@pytest.mark.parametrize(
    ("row", "other", "same"),
    [
        (ASGE(shifted=1), ASGE(), False),
        (ASGE(shifted=1), ASGE(shifted=2), False),
        (ASGE(mirrored=True), ASGE(), False),
        (ASGE(mirrored=True), ASGE(mirrored=True, power=1), True),
        (PredSim(label_smoothing=0.1), PredSim(), False),
        (PredSim(beta=0.5), PredSim(), True),
    ],
)
def test_a_control_that_is_read_or_taught_otherwise_does_not_stand_beside_a_row(row, other, same: bool):
    records = _records(
        _runs("ASGE", 0.9, algorithm=row), _runs("Backprop", 0.97, name="c", algorithm=Backprop(of=other))
    )
    (line,) = _rows(overview(records))
    assert line.endswith(f"| one layer | 90.00 / – / {'97.00' if same else '–'} |")


def test_a_noted_copy_of_the_images_has_a_column_and_a_control_of_its_own():
    records = _records(
        _runs("ASGE", 0.9, name="a", note="MNIST, half"),
        _runs("ASGE", 0.8, name="a"),
        _runs("Backprop", 0.97, name="backprop-a"),
    )
    lines = overview(records)
    assert "| method | locality | MNIST, half | MNIST |" in lines
    assert _rows(lines) == ["| `ASGE` | one layer | 90.00 / – / – | 80.00 / – / 97.00 |"]


def test_published_numbers_stand_where_nothing_was_run():
    records = _records(_runs("ASGE", 0.9))
    lines = overview(records, published={"ASGE": {"cifar100": 0.5}, "CaFo": {"mnist": 0.98}})
    assert "| method | locality | CIFAR-100 | MNIST |" in lines
    assert _rows(lines) == [
        "| `ASGE` | one layer | – / 50.00 / – | 90.00 / – / – |",
        "| `CaFo` |  |  | – / 98.00 / – |",
    ]
    known = printed()
    assert known["CwComp"]["cifar100"] == 0.5123 and known["ASGE"]["mnist"] == 0.9965
    assert known["DeeperForward"]["mnist"] == 0.9965  # of VGG14 and ResNet17 the higher one


def test_a_row_without_a_published_number_of_its_own_has_the_highest_of_its_method():
    own = _runs("ASGE", 0.9, published=Published(test_accuracy=0.95, source="somebody"))
    known = {"ASGE": {"mnist": 0.99}}
    assert _rows(overview(_records(own), published=known)) == ["| `ASGE` | one layer | 90.00 / 95.00 / – |"]
    assert _rows(overview(_records(_runs("ASGE", 0.9)), published=known)) == [
        "| `ASGE` | one layer | 90.00 / 99.00 / – |"
    ]


def test_what_a_step_costs_stands_beside_where_it_was_measured():
    shares = {"memory_of_backprop": 0.345, "operations_of_backprop": 0.567, "step_of_backprop": 0.678}
    costs = {"ASGE": {"parameters_M": 1.234, **shares}}
    lines = overview(_records(_runs("ASGE", 0.9), _runs("CaFo", 0.8)), costs)
    assert "| method | locality | MNIST | weights | memory | operations | step |" in lines
    assert _rows(lines) == [
        "| `ASGE` | one layer | 90.00 / – / – | 1.23 M | 0.34 | 0.57 | 0.68 |",
        "| `CaFo` | read-outs alone | 80.00 / – / – |  |  |  |  |",
    ]
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1


def test_of_several_recipes_validation_chooses_and_not_the_test_split():
    good = _runs("ASGE", 0.8, name="good", validation=0.9)
    lucky = _runs("ASGE", 0.99, name="lucky", validation=0.7)
    for order in ((good, lucky), (lucky, good)):
        assert _rows(overview(_records(*order))) == ["| `ASGE` | one layer | 80.00 / – / – |"]


def test_without_a_local_method_there_is_no_table():
    assert overview(_records(_runs("Backprop", 0.9))) == [] == overview({})


def _alike(**changed: Any) -> dict[Row, list[Record]]:
    return _records(
        _runs("ASGE", 0.7, name="a"),
        _runs("CaFo", 0.9, name="b"),
        _runs("HFF", 0.8, name="c", **changed),
        _runs("Backprop", 0.95, name="backprop-b"),
    )


def test_three_methods_trained_alike_are_listed_best_first_beside_their_controls():
    lines = shared(_alike(trainer=TrainerSettings(adamw_lr_scale=0.1)))  # which a method's own read-out needs
    assert "| method | locality | views | test % | seeds | backprop % | recipe |" in lines
    assert _rows(lines) == [
        "| `CaFo` | read-outs alone | 1 | 90.00 | 1 | 95.00 | `b` |",
        "| `HFF` | one layer | 1 | 80.00 | 1 |  | `c` |",
        "| `ASGE` | one layer | 1 | 70.00 | 1 |  | `a` |",
    ]


def test_a_table_of_equal_trainings_tells_as_how_many_images_each_is_read():
    both = ASGE(mirrored=True, shifted=1)
    lines = shared(_alike() | _records(_runs("ASGE", 0.6, name="e", algorithm=both)))
    assert "| `ASGE` | one layer | 10 | 60.00 | 1 |  | `e` |" in lines


@pytest.mark.parametrize(
    "other",
    [
        {"net": TinyCNN()},
        {"data": DataSettings(name="mnist", size=32)},
        {"epochs": 5},
        {"batch_size": 9},
        {"trainer": TrainerSettings(optimizer="sgd")},
        {"note": "MNIST, half"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_whoever_differs_in_network_data_or_budget_is_not_listed_with_the_others(other: dict[str, Any]):
    assert shared(_alike())
    assert shared(_alike(**other)) == []


def test_seeds_and_recipes_of_one_method_are_not_several_methods():
    records = _records(_runs("ASGE", 0.7, 0.8, 0.9), _runs("ASGE", 0.9, name="b"), _runs("CaFo", 0.9))
    assert shared(records) == []


def test_a_short_table_has_the_best_row_of_a_method_on_one_set_and_mixes_no_images():
    records = _records(
        _runs("ASGE", 0.9, name="good", validation=0.6, note="MNIST, 40k train"),
        _runs("ASGE", 0.99, name="lucky", validation=0.5, note="MNIST, 40k train"),
        _runs("ASGE", 0.7, name="standard", validation=0.4),
        _runs("HFF", 0.8, 0.9, name="hff"),
        _runs("CaFo", 0.95, name="elsewhere", data=DataSettings(name="digits")),
        _runs("Backprop", 0.97, name="backprop-hff"),
    )
    lines = best_rows(records, "mnist")
    assert lines[2:] == [  # a lower standard row before a higher one of other images, which chose on other images too
        "| standard split | `HFF` | one layer | 85.00 | 2 | 97.00 | `hff` |",
        "| standard split | `ASGE` | one layer | 70.00 | 1 | – | `standard` |",
        "| 40k train | `ASGE` | one layer | 90.00 | 1 | – | `good` |",
    ]
    assert best_rows(records, "svhn") == []
