"""CIFAR-10 as fast as it goes on two cores, each layer by a gradient of its own, and the short rows of other methods.

After the airbench speed runs (Jordan 2024): whitened patches, a small network, few epochs, Muon. In place of backprop
every layer has a linear read-out of its own and learns by its cross-entropy. Not taken from there: the scaled
initialisation, bias warm-up, Lookahead and filtering of easy images.
"""

from dataclasses import replace

from onward.algorithms import Algorithm, PredSim
from onward.core import TrainerSettings
from onward.data import Augmentation, DataSettings
from onward.nets import Airbench
from onward.recipes.recipe import Recipe, control

NET = Airbench()
TRAINER = TrainerSettings(
    optimizer="muon", learning_rate=0.1, momentum=0.6, schedule="linear", warmup=0.1, precision="bf16"
)
BATCH_SIZE = 256


def images(name: str) -> DataSettings:
    """Return a named set with shifts of two pixels; photographs and clothes are also mirrored."""
    shifts = Augmentation(crop=2, padding="reflect", alternate_flip=name not in ("mnist", "svhn"))
    return DataSettings(name=name, validation_fraction=0.05, augmentation=shifts)


def fast(row: Recipe, algorithm: Algorithm) -> Recipe:
    """Return a method's row for two cores: this network and Muon, small shifts, few epochs."""
    title, *_, data = row.description.split(", ")
    return replace(
        row,
        name=f"{row.name}-fast",
        description=f"{title}, airbench network, {data}",
        algorithm=algorithm,
        net=NET,
        data=images(row.data.name),
        trainer=TRAINER,
        epochs=4 if row.data.name == "mnist" else 8,
        batch_size=BATCH_SIZE,
        backprop=f"backprop-{row.name}-fast",
    )


def unshifted(row: Recipe) -> Recipe:
    """Return a row whose images are not shifted: clothes stand in the middle as they are.

    On 28,000 training images of Fashion-MNIST and 8 epochs, ASGE reached 91.7 % of the validation split with shifts of
    two pixels (in batches of 128) and 92.8 % without them.
    """
    return replace(row, data=replace(row.data, augmentation=replace(row.data.augmentation, crop=0)))


def sharing(row: Recipe) -> Recipe:
    """Return a short row beside the control of Distance-Forward: for methods that hand on what a body gives, as it is.

    To backprop they are all the same network. Distance-Forward's clothes have a longer training of their own.
    """
    if row.data.name == "fashion_mnist":
        return row
    return replace(row, backprop=f"backprop-distance_forward-{row.data.name}-fast")


def listed(*rows: Recipe) -> tuple[Recipe, ...]:
    """Return short rows, each followed by its control if that is its own."""
    own = [f"backprop-{row.name}" == row.backprop for row in rows]
    both = [(row, control(row, learning_rate=0.1)) if alone else (row,) for row, alone in zip(rows, own, strict=True)]
    return tuple(recipe for pair in both for recipe in pair)


def cifar10() -> Recipe:
    """Small photographs; settings chosen on the validation split."""
    return Recipe(
        name="airbench-cifar10",
        description="Local cross-entropy, airbench network, CIFAR-10 in minutes",
        algorithm=PredSim(beta=0.0, label_smoothing=0.1, mirrored=True),
        net=NET,
        data=images("cifar10"),
        trainer=TRAINER,
        epochs=16,
        batch_size=BATCH_SIZE,
        backprop="backprop-airbench-cifar10",
    )


RECIPES = (cifar10(), control(cifar10(), learning_rate=0.1))
