"""The rows of DeeperForward's tables: the settings of the released code, and what each row changes."""

from dataclasses import replace

import pytest

from onward.algorithms import Backprop, DeeperForward
from onward.nets import VGG14, Plain17, ResNet17, ResNet33, ResNet100, TinyCNN
from onward.recipes import RECIPES, Recipe
from onward.recipes.deeper_forward_tables import RECIPES as TABLES
from onward.recipes.deeper_forward_tables import resnet17_cifar10

ROWS = [row for row in TABLES if not isinstance(row.algorithm, Backprop)]
LONG = [row for row in ROWS if not row.name.endswith("-fast")]

# Tables 1, 2 and 4, test accuracy in percent; None where the paper has no number.
PRINTED = {
    "resnet17-cifar10": (ResNet17(), 86.22),
    "resnet17-mnist": (ResNet17(), 99.63),
    "resnet17-fashion_mnist": (ResNet17(), 93.13),
    "resnet17-cifar100": (ResNet17(), 53.09),
    "resnet17x3-cifar100": (ResNet17(width=300), 60.28),
    "tiny_cnn-cifar10": (TinyCNN(), 79.49),
    "tiny_cnn-mnist": (TinyCNN(), 99.50),
    "tiny_cnn-fashion_mnist": (TinyCNN(), 91.83),
    "vgg14-cifar10": (VGG14(), 81.76),
    "vgg14-mnist": (VGG14(), 99.65),
    "vgg14-fashion_mnist": (VGG14(), 92.44),
    "plain17-cifar10": (Plain17(), 81.16),
    "square_length-cifar10": (ResNet17(), 79.38),
    "square_variance-cifar10": (ResNet17(), None),
    "mean_length-cifar10": (ResNet17(), None),
    "resnet33-cifar10": (ResNet33(), None),
    "resnet100-cifar10": (ResNet100(), None),
}


def _row(name: str) -> Recipe:
    return next(recipe for recipe in RECIPES if recipe.name == f"deeper_forward-{name}")


def test_the_tables_are_complete():
    assert {row.name.removeprefix("deeper_forward-") for row in LONG} == set(PRINTED)


@pytest.mark.parametrize("name", PRINTED)
def test_each_row_has_its_network_and_its_number(name: str):
    row, (net, percent) = _row(name), PRINTED[name]
    assert row.net == net
    assert (row.published.test_accuracy if row.published else None) == (percent and pytest.approx(percent / 100))
    assert name.endswith(row.data.name)


@pytest.mark.parametrize("row", LONG, ids=lambda row: row.name)
def test_all_rows_have_the_released_codes_budget(row: Recipe):
    assert (row.epochs, row.batch_size, row.data.size) == (150, 128, 32)
    assert not row.data.augmentation.enabled
    images = 60_000 if "mnist" in row.data.name else 50_000
    assert round(images * row.data.validation_fraction) == (10_000 if "mnist" in row.data.name else 5_000)
    rates = [row.trainer.learning_rate_at(epoch * 390 + step, 390, 150) for epoch, step in ((0, 0), (0, 389), (75, 0))]
    assert rates == pytest.approx([0.08, 0.08, 0.044])
    assert row.trainer.final_learning_rate == 0.008
    released = {VGG14(): ("adam", 0.0), Plain17(): ("adam", 0.0), TinyCNN(): ("adamw", 0.01)}
    assert (row.trainer.optimizer, row.trainer.weight_decay) == released.get(row.net, ("adamw", 1e-4))


@pytest.mark.parametrize("row", [row for row in LONG if row.data.name != "cifar100"], ids=lambda row: row.name)
def test_every_row_has_a_short_one_of_the_same_method_and_number(row: Recipe):
    names = {f"tiny_cnn-{data}": data for data in ("mnist", "fashion_mnist")} | {"tiny_cnn-cifar10": "cifar10-fast"}
    own = row.name.removeprefix("deeper_forward-")
    short = _row(names.get(own, f"{own}-fast"))
    assert isinstance(row.algorithm, DeeperForward) and isinstance(short.algorithm, DeeperForward)
    ours = {"mirrored": short.algorithm.mirrored, "temperature": short.algorithm.temperature}
    assert short.algorithm == replace(row.algorithm, **ours)
    assert (short.trainer.optimizer == "muon") == (short.algorithm.temperature < 1)  # which holds weights at one scale
    assert type(short.net) is type(row.net) and vars(short.net)["width"] < vars(row.net)["width"]
    assert short.data.name == row.data.name and short.epochs <= 40
    assert (short.published and short.published.test_accuracy) == (row.published and row.published.test_accuracy)


def test_the_cells_of_table_4_differ_from_the_headline_row_in_goodness_and_normaliser_alone():
    cells = {
        "square_length-cifar10": DeeperForward(goodness="mean_square", normaliser="length"),
        "square_variance-cifar10": DeeperForward(goodness="mean_square", normaliser="variance"),
        "mean_length-cifar10": DeeperForward(goodness="mean", normaliser="length"),
    }
    headline = resnet17_cifar10()
    for name, cell in cells.items():
        row = _row(name)
        told = {"name": row.name, "description": row.description, "published": row.published, "backprop": row.backprop}
        assert row == replace(headline, algorithm=cell, **told)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_controls_schedule_has_the_shape_of_its_rows(row: Recipe):
    control = next(recipe for recipe in TABLES if recipe.name == row.backprop)
    peak = 0.1 if row.trainer.optimizer == "muon" else 1e-3
    assert control.trainer.learning_rate == peak
    for epoch in (1, 7, row.epochs - 1):
        ours, theirs = (recipe.trainer.learning_rate_at(epoch * 9, 9, row.epochs) for recipe in (row, control))
        assert theirs / peak == pytest.approx(ours / row.trainer.learning_rate)
