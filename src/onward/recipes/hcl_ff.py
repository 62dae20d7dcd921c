"""HCL-FF (Yao, Chen, Kuo 2026), each row beside backprop through the same network.

Network, optimizer, epochs, batches, clipping and temperatures are those of the paper and the released code; for a GPU.
Trees are ours, where the source clusters the classes of a first training. Colours change in every image, where the
source lets one in five be; on grey images shifts stand for small turns, shifts and scales.
"""

from dataclasses import replace

from onward.algorithms import HCLFF
from onward.core import TrainerSettings
from onward.data import Augmentation, DataSettings
from onward.nets import ResNet17, TinyCNN
from onward.recipes import class_trees
from onward.recipes.recipe import Published, Recipe, control

_SOURCE = "Yao, Chen, Kuo 2026"
_COLOURS = Augmentation(resized_crop=0.4, flip=True, color_jitter=0.2, grayscale=0.2)
_SHIFTS = Augmentation(crop=3)


def digits() -> Recipe:
    """scikit-learn's 8x8 digits; seconds on a laptop."""
    return Recipe(
        name="hcl_ff-digits",
        description="HCL-FF, 4-layer CNN, digits",
        algorithm=HCLFF(tree=class_trees.MNIST),
        net=TinyCNN(width=50, dropout=0.0),
        data=DataSettings(name="digits"),
        trainer=TrainerSettings(learning_rate=0.02, weight_decay=1e-4, clip_norm=1.0),
        epochs=20,
        batch_size=64,
        backprop="backprop-hcl_ff-digits",
    )


def cifar10() -> Recipe:
    """A thousand epochs on strongly changed images."""
    return Recipe(
        name="hcl_ff-cifar10",
        description="HCL-FF, ResNet17, CIFAR-10",
        algorithm=_cooling(HCLFF(tree=class_trees.CIFAR10), steps=45_000 // 128, epochs=1000),
        net=_resnet(100),
        data=DataSettings(name="cifar10", validation_fraction=0.1, augmentation=_COLOURS),
        trainer=TrainerSettings(
            learning_rate=0.08,
            final_learning_rate=2e-4,
            schedule_every="epoch",
            weight_decay=1e-4,
            clip_norm=1.0,
            precision="bf16",
        ),
        epochs=1000,
        batch_size=128,
        published=Published(test_accuracy=0.9168, source=_SOURCE),
        backprop="backprop-hcl_ff-cifar10",
    )


def cifar100() -> Recipe:
    """Batches of 512; the tree's levels take one block each, as in the released code."""
    ten = cifar10()
    return replace(
        ten,
        name="hcl_ff-cifar100",
        description="HCL-FF, ResNet17, CIFAR-100",
        algorithm=_cooling(HCLFF(tree=class_trees.CIFAR100, pace="one_per_block"), steps=45_000 // 512, epochs=1000),
        data=replace(ten.data, name="cifar100"),
        batch_size=512,
        published=Published(test_accuracy=0.7009, source=_SOURCE),
        backprop="backprop-hcl_ff-cifar100",
    )


def mnist() -> Recipe:
    """Two fifths of the width, 50 epochs, a learning rate that falls little."""
    ten = cifar10()
    return replace(
        ten,
        name="hcl_ff-mnist",
        description="HCL-FF, ResNet17 of two fifths of the width, MNIST",
        algorithm=_cooling(HCLFF(tree=class_trees.MNIST), steps=55_000 // 128, epochs=50),
        net=_resnet(40),
        data=DataSettings(name="mnist", validation_fraction=1 / 12, augmentation=_SHIFTS),
        trainer=replace(ten.trainer, final_learning_rate=0.06),
        epochs=50,
        published=Published(test_accuracy=0.9965, source=_SOURCE),
        backprop="backprop-hcl_ff-mnist",
    )


def fashion_mnist() -> Recipe:
    """As on MNIST, with 150 epochs, mirrored images and a learning rate that falls to a tenth."""
    grey = mnist()
    return replace(
        grey,
        name="hcl_ff-fashion_mnist",
        description="HCL-FF, ResNet17 of two fifths of the width, Fashion-MNIST",
        algorithm=_cooling(HCLFF(tree=class_trees.FASHION_MNIST), steps=55_000 // 128, epochs=150),
        data=replace(grey.data, name="fashion_mnist", augmentation=replace(_SHIFTS, flip=True)),
        trainer=replace(grey.trainer, final_learning_rate=0.008),
        epochs=150,
        published=Published(test_accuracy=0.9387, source=_SOURCE),
        backprop="backprop-hcl_ff-fashion_mnist",
    )


def fast(row: Recipe, *, width: int = 50) -> Recipe:
    """Four layers of DeeperForward's small network and ten epochs at one temperature, for two cores."""
    assert row.published is not None and isinstance(row.algorithm, HCLFF)
    data = row.data if row.data.augmentation != _COLOURS else replace(row.data, augmentation=Augmentation(flip=True))
    return replace(
        row,
        name=f"{row.name}-fast",
        description=f"HCL-FF, 4-layer CNN, {row.description.rpartition(', ')[2]}",
        algorithm=replace(row.algorithm, warm_steps=0, steps=0),
        net=TinyCNN(width=width, dropout=0.0),
        data=data,
        trainer=TrainerSettings(learning_rate=0.02, weight_decay=1e-4, clip_norm=1.0, precision="bf16"),
        epochs=10,
        batch_size=64,
        published=replace(row.published, source=f"{row.published.source} (ResNet17, {row.epochs} epochs)"),
        backprop=f"{row.backprop}-fast",
    )


def _resnet(width: int) -> ResNet17:
    return ResNet17(width=width, dropout=0.0, concat="by_class", last_stride=1)


def _cooling(algorithm: HCLFF, *, steps: int, epochs: int) -> HCLFF:
    """Let the temperature fall over a training of `epochs` epochs of `steps` steps, of which 50 epochs warm up."""
    return replace(algorithm, warm_steps=50 * steps, steps=epochs * steps)


_ROWS = (mnist(), fashion_mnist(), cifar10(), cifar100())
_FAST = (fast(mnist()), fast(fashion_mnist()), fast(cifar10()), fast(cifar100(), width=100))
_LOCAL = (digits(), *_ROWS, *_FAST)
RECIPES = tuple(recipe for row in _LOCAL for recipe in (row, control(row, learning_rate=1e-3)))
