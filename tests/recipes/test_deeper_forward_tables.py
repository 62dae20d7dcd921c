"""The rows of DeeperForward's tables: the settings of the released code, and what each row changes."""

import pytest

from onward.algorithms import DeeperForward
from onward.nets import VGG14, Plain17, ResNet17, TinyCNN
from onward.recipes import RECIPES, ROWS, Recipe

LONG = [row for row in RECIPES if row.method == "deeper_forward" and not row.scale and row.data.name != "digits"]

# Tables 1, 2 and 4, test accuracy in percent.
PRINTED = {
    "cifar10-resnet17": (ResNet17(), 86.22),
    "mnist-resnet17": (ResNet17(), 99.63),
    "fashion_mnist-resnet17": (ResNet17(), 93.13),
    "cifar100-resnet17": (ResNet17(), 53.09),
    "cifar100-resnet17x3": (ResNet17(width=300), 60.28),
    "cifar10-tiny_cnn": (TinyCNN(), 79.49),
    "mnist-tiny_cnn": (TinyCNN(), 99.50),
    "fashion_mnist-tiny_cnn": (TinyCNN(), 91.83),
    "cifar10-vgg14": (VGG14(), 81.76),
    "mnist-vgg14": (VGG14(), 99.65),
    "fashion_mnist-vgg14": (VGG14(), 92.44),
    "cifar10-plain17": (Plain17(), 81.16),
    "cifar10-square_length": (ResNet17(), 79.38),
}


def test_the_tables_are_complete():
    assert {row.name.removeprefix("deeper_forward-") for row in LONG} == set(PRINTED)


@pytest.mark.parametrize("name", PRINTED)
def test_each_row_has_its_network_and_its_number(name: str):
    row, (net, percent) = ROWS[f"deeper_forward-{name}"], PRINTED[name]
    assert row.net == net
    assert row.published is not None and row.published.test_accuracy == pytest.approx(percent / 100)


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


def test_the_cell_of_table_4_differs_from_the_main_row_in_goodness_and_normalizer_alone():
    row, main = ROWS["deeper_forward-cifar10-square_length"], ROWS["deeper_forward-cifar10-resnet17"]
    assert row.algorithm == DeeperForward(goodness="mean_square", normalizer="length")
    assert {told.split()[0] for told in row.differences(main)} == {"algorithm.goodness", "algorithm.normalizer"}
