"""predsim (Nokland and Eidnes 2019) on VGG8b, each row beside backprop through the same network.

The learning rate falls along a cosine, where the paper multiplies it by a quarter after 50, 75, 89 and 94 % of the
epochs. A part of the training images is set aside for validation; the paper trains on all of them.
"""

from dataclasses import replace

from onward.algorithms import PredSim
from onward.core import TrainerSettings
from onward.data import Augmentation, DataSettings
from onward.nets import VGG8b
from onward.recipes import airbench
from onward.recipes.recipe import Published, Recipe, control


def cifar10() -> Recipe:
    """The paper's network, optimizer, batches, epochs and augmentation; for a GPU."""
    return Recipe(
        name="predsim-cifar10",
        description="predsim, VGG8b, CIFAR-10",
        algorithm=PredSim(decoder_features=2048),
        net=VGG8b(),
        data=DataSettings(name="cifar10", augmentation=Augmentation(crop=4, flip=True)),
        trainer=TrainerSettings(optimizer="adam", learning_rate=5e-4),
        epochs=400,
        batch_size=128,
        published=Published(test_accuracy=0.9442, source="Nokland and Eidnes 2019, VGG8b"),
        backprop="backprop-cifar10-vgg8b",
    )


def cifar100() -> Recipe:
    """The paper keeps batches to 20 classes for the first half of the epochs; here every batch is drawn from all."""
    ten = cifar10()
    return replace(
        ten,
        name="predsim-cifar100",
        description="predsim, VGG8b, CIFAR-100",
        algorithm=PredSim(decoder_features=4096),
        net=VGG8b(dropout=0.05),
        data=replace(ten.data, name="cifar100"),
        published=Published(test_accuracy=0.7593, source="Nokland and Eidnes 2019, VGG8b, 20 classes per batch"),
        backprop="backprop-cifar100-vgg8b",
    )


def mnist() -> Recipe:
    """28x28 images, shifted by up to two pixels; for a GPU."""
    return replace(
        cifar10(),
        name="predsim-mnist",
        description="predsim, VGG8b, MNIST",
        algorithm=PredSim(decoder_features=1024),
        data=DataSettings(name="mnist", augmentation=Augmentation(crop=2)),
        epochs=100,
        published=Published(test_accuracy=0.9969, source="Nokland and Eidnes 2019, VGG8b"),
        backprop="backprop-mnist-vgg8b",
    )


def fashion_mnist() -> Recipe:
    """As on MNIST, with half the dropout and twice the epochs, and mirrored at random."""
    digits = mnist()
    return replace(
        digits,
        name="predsim-fashion_mnist",
        description="predsim, VGG8b, Fashion-MNIST",
        net=VGG8b(dropout=0.1),
        data=DataSettings(name="fashion_mnist", augmentation=Augmentation(crop=2, flip=True)),
        epochs=200,
        published=Published(test_accuracy=0.9535, source="Nokland and Eidnes 2019, VGG8b"),
        backprop="backprop-fashion_mnist-vgg8b",
    )


def fast(row: Recipe) -> Recipe:
    """The same for two cores: the airbench network and Muon, few epochs."""
    return airbench.sharing(airbench.fast(row, row.algorithm))


_FULL = (cifar10(), cifar100(), mnist(), fashion_mnist())
_FAST = tuple(fast(row) for row in _FULL)
RECIPES = (
    *(recipe for row in _FULL for recipe in (row, control(row, learning_rate=5e-4))),
    *airbench.listed(*_FAST),
)
