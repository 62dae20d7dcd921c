"""Distance-Forward (Wu et al. 2024), a reconstruction, each row beside backprop through the same network.

The paper's networks and settings are unknown: the network of The Trifecta, Adam and the budget stand in for them. The
published numbers do not say which variant they belong to; they are read as those of overlapping pairs (DF-O).
"""

from dataclasses import replace

from onward.algorithms import DistanceForward, DistanceForwardPairs
from onward.core import TrainerSettings
from onward.data import Augmentation, DataSettings
from onward.nets import MLP, Trifecta6, Trifecta12
from onward.recipes import airbench
from onward.recipes.recipe import Published, Recipe, control

_ANCHORS = DistanceForward(unit_length=False)  # the networks below begin every body with batch norm
_IMAGES = replace(_ANCHORS, anchors="learned", grid=4)  # ahead in short trainings on CIFAR-10, running ones on digits
_PLAIN = replace(_IMAGES, collaboration="none")
_RANDOM = replace(_IMAGES, random_feedback=True)


def digits() -> Recipe:
    """scikit-learn's 8x8 digits; seconds on a laptop."""
    return Recipe(
        name="distance_forward-digits",
        description="Distance-Forward over two layers (reconstruction), 6 conv, digits",
        algorithm=_ANCHORS,
        net=Trifecta6(width=16),
        data=DataSettings(name="digits"),
        trainer=TrainerSettings(learning_rate=2e-3),
        epochs=20,
        batch_size=64,
        backprop="backprop-distance_forward-digits",
    )


def digits_pairs() -> Recipe:
    """Labels in the input; scikit-learn's 8x8 digits."""
    return Recipe(
        name="distance_forward_pairs-digits",
        description="Distance-Forward with image-label pairs over two layers (reconstruction), MLP, digits",
        algorithm=DistanceForwardPairs(wrong_labels=3),
        net=MLP(width=500, depth=3),
        data=DataSettings(name="digits"),
        trainer=TrainerSettings(learning_rate=1e-3),
        epochs=40,
        batch_size=64,
        backprop="backprop-distance_forward_pairs-digits",
    )


def _row(data: str, accuracy: float, images: DataSettings) -> Recipe:
    return Recipe(
        name=f"distance_forward-{data}",
        description=f"Distance-Forward over two layers (reconstruction), 12 conv, {data}",
        algorithm=_IMAGES,
        net=Trifecta12(),
        data=replace(images, validation_fraction=0.1),
        trainer=TrainerSettings(optimizer="adam", learning_rate=1e-3, precision="bf16"),
        epochs=100,
        batch_size=128,
        published=Published(test_accuracy=accuracy, source="Wu et al. 2024; network and settings are ours"),
        backprop=f"backprop-distance_forward-{data}",
    )


def mnist() -> Recipe:
    """Handwritten digits, shifted by up to two pixels."""
    return _row("mnist", 0.997, DataSettings(name="mnist", augmentation=Augmentation(crop=2)))


def fashion_mnist() -> Recipe:
    """Articles of clothing, shifted and mirrored."""
    images = DataSettings(name="fashion_mnist", augmentation=Augmentation(crop=2, flip=True))
    return _row("fashion_mnist", 0.9389, images)


def cifar10() -> Recipe:
    """Small photographs, shifted and mirrored: overlapping pairs, DF-O."""
    return _row("cifar10", 0.882, DataSettings(name="cifar10", augmentation=Augmentation(crop=4, flip=True)))


def cifar100() -> Recipe:
    """Small photographs of 100 classes, shifted and mirrored."""
    return _row("cifar100", 0.5901, DataSettings(name="cifar100", augmentation=Augmentation(crop=4, flip=True)))


def svhn() -> Recipe:
    """House numbers, shifted; a mirrored digit is no digit."""
    return _row("svhn", 0.959, DataSettings(name="svhn", augmentation=Augmentation(crop=4)))


def imagenette() -> Recipe:
    """Ten easy ImageNet classes at 64 pixels, shifted and mirrored."""
    images = DataSettings(name="imagenette", size=64, augmentation=Augmentation(crop=8, flip=True))
    return _row("imagenette", 0.825, images)


def plain(row: Recipe) -> Recipe:
    """The same without collaboration: every block alone."""
    return _variant(row, "plain", _PLAIN, "Distance-Forward without collaboration (reconstruction)")


def random_feedback(row: Recipe) -> Recipe:
    """The same with random feedback inside the pairs: DF-R."""
    title = "Distance-Forward with random feedback over two layers (reconstruction)"
    return _variant(row, "random_feedback", _RANDOM, title)


def fast(row: Recipe) -> Recipe:
    """The same for minutes on two cores: airbench network and Muon, few epochs.

    Pairs are disjoint: on 10,000 images of CIFAR-10 and 4 epochs they reached 78.8 % of the validation split, blocks
    alone 76.4 %, at nearly the same cost; overlapping pairs compute every block twice.
    """
    assert isinstance(row.algorithm, DistanceForward)
    pairs = "none" if row.algorithm.collaboration == "none" else "disjoint"
    short = airbench.fast(row, replace(row.algorithm, collaboration=pairs))
    short = replace(short, data=replace(short.data, size=row.data.size))
    return _clothes(short) if row.data.name == "fashion_mnist" else short


def _clothes(row: Recipe) -> Recipe:
    """Ask for half the margin and train longer, with squares cut out; read mirror images too.

    On 14,000 training images and 4 epochs, margins of 0.2, 0.1, 0.05 and 0 reached 90.3, 90.8, 90.6 and 90.5 % of the
    validation split.
    """
    assert isinstance(row.algorithm, DistanceForward)
    return replace(
        row,
        algorithm=replace(row.algorithm, margin=0.1, mirrored=True),
        data=replace(row.data, augmentation=replace(row.data.augmentation, cutout=8)),
        epochs=16,
    )


def _variant(row: Recipe, name: str, algorithm: DistanceForward, description: str) -> Recipe:
    assert row.backprop is not None
    return replace(
        row,
        name=row.name.replace("-", f"-{name}-", 1),
        description=f"{description}, {row.description.partition(', ')[2]}",
        algorithm=algorithm,
        published=None,
        backprop=row.backprop.replace("-distance_forward-", f"-distance_forward-{name}-"),
    )


_ROWS = (mnist(), fashion_mnist(), cifar10(), cifar100(), svhn(), imagenette())
_LOCAL = (
    digits(),
    digits_pairs(),
    *_ROWS,
    plain(cifar10()),
    random_feedback(cifar10()),
    *[fast(row) for row in _ROWS],
)
_SHARING = tuple(airbench.sharing(fast(variant(cifar10()))) for variant in (plain, random_feedback))
RECIPES = (
    *(
        recipe
        for row in _LOCAL
        for recipe in (row, control(row, learning_rate=0.1 if row.trainer.optimizer == "muon" else 1e-3))
    ),
    *_SHARING,
)
