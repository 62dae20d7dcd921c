"""ASGE (Gong et al. 2026), each row beside backprop through the same network with the same fusion head.

One set of hyper-parameters, that of the released code, which is set up for MNIST: what the paper's other rows used is
not known. Rows named `-fast` are for two cores.
"""

from dataclasses import replace

from onward.algorithms import ASGE
from onward.core import TrainerSettings
from onward.data import Augmentation, DataSettings
from onward.nets import VGG8, VGG11
from onward.recipes import airbench
from onward.recipes.recipe import Published, Recipe, control

_PHOTOGRAPHS = Augmentation(crop=4, flip=True, color_jitter=0.4, grayscale=0.2)


def mnist() -> Recipe:
    """VGG8 on images brought to 32x32, the one row that the released code is set up for."""
    return Recipe(
        name="asge-mnist",
        description="ASGE, VGG8, MNIST",
        algorithm=ASGE(),
        net=VGG8(),
        data=DataSettings(name="mnist", size=32, validation_fraction=1 / 6),
        trainer=TrainerSettings(
            learning_rate=2e-4,
            final_learning_rate=1e-5,
            schedule_every="epoch",
            weight_decay=1e-3,
            precision="bf16",
        ),
        epochs=100,
        batch_size=128,
        published=Published(test_accuracy=0.9965, source="Gong et al. 2026, abstract"),
        backprop="backprop-asge-mnist",
    )


def fashion_mnist() -> Recipe:
    """VGG8 with the settings of `asge-mnist`; images are mirrored."""
    local = mnist()
    return replace(
        local,
        name="asge-fashion_mnist",
        description="ASGE, VGG8, Fashion-MNIST",
        data=replace(local.data, name="fashion_mnist", augmentation=Augmentation(flip=True)),
        published=Published(test_accuracy=0.9341, source="Gong et al. 2026, abstract"),
        backprop="backprop-asge-fashion_mnist",
    )


def cifar10() -> Recipe:
    """VGG8 with the settings of `asge-mnist`; which of its networks the paper took is not known."""
    return replace(
        mnist(),
        name="asge-cifar10",
        description="ASGE, VGG8, CIFAR-10",
        data=DataSettings(name="cifar10", validation_fraction=0.1, augmentation=_PHOTOGRAPHS),
        published=Published(test_accuracy=0.9062, source="Gong et al. 2026, abstract (network not known)"),
        backprop="backprop-asge-cifar10",
    )


def cifar100() -> Recipe:
    """VGG8 with the settings of `asge-cifar10`; which of its networks the paper took is not known."""
    local = cifar10()
    return replace(
        local,
        name="asge-cifar100",
        description="ASGE, VGG8, CIFAR-100",
        data=replace(local.data, name="cifar100"),
        published=Published(test_accuracy=0.6542, source="Gong et al. 2026, abstract (network not known)"),
        backprop="backprop-asge-cifar100",
    )


def imagenet() -> Recipe:
    """VGG11 on 64x64 images: a substitute, as network, size, epochs and augmentation of the paper are not known.

    Training images are streamed.
    """
    return replace(
        mnist(),
        name="asge-imagenet",
        description="ASGE, VGG11, ImageNet at 64x64",
        net=VGG11(),
        data=DataSettings(
            name="imagenet",
            size=64,
            validation_fraction=0.02,
            augmentation=Augmentation(resized_crop=0.25, flip=True),
            buffer=10_000,
        ),
        published=Published(
            test_accuracy=0.5158, source="Gong et al. 2026, abstract of version 2 (protocol not known)"
        ),
        backprop="backprop-asge-imagenet",
    )


def fast(full: Recipe) -> Recipe:
    """Return the same row for two cores: the airbench network and Muon, few epochs, a map scaled by its features."""
    row = airbench.fast(full, ASGE(map_scale="features"))
    row = replace(row, trainer=replace(row.trainer, adamw_share=0.1))  # of which fusion's read-out needs more
    return _clothes(row) if row.data.name == "fashion_mnist" else row


def _clothes(row: Recipe) -> Recipe:
    """Train longer on images that are not shifted; fuse the last two layers, and read mirror images too."""
    algorithm = ASGE(map_scale="features", fuse_from=4, mirrored=True)
    return replace(airbench.unshifted(row), algorithm=algorithm, epochs=12)


_FULL = (mnist(), fashion_mnist(), cifar10(), cifar100(), imagenet())
_FAST = tuple(fast(row) for row in _FULL[:4])

RECIPES = (
    *(recipe for row in _FULL for recipe in (row, control(row, learning_rate=2e-4))),
    *airbench.listed(*_FAST),
)
