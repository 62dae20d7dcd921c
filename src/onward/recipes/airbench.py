"""CIFAR-10 as fast as it goes on two cores without a gradient that leaves a layer, beside backprop on the same net.

After the airbench speed runs (Jordan 2024): whitened patches, a small network, few epochs, Muon. In place of backprop
every layer has a linear read-out of its own and learns by its cross-entropy. Not taken from there: the scaled
initialisation, bias warm-up, Lookahead and filtering of easy images.
"""

from onward.algorithms import PredSim
from onward.core import TrainerSettings
from onward.data import Augmentation, DataSettings
from onward.nets import Airbench
from onward.recipes.recipe import Recipe, control

NET = Airbench()
TRAINER = TrainerSettings(
    optimizer="muon", learning_rate=0.1, momentum=0.6, schedule="linear", warmup=0.1, precision="bf16"
)
BATCH_SIZE = 256


def symmetric(name: str) -> bool:
    """Return whether a mirror image is of the same class."""
    return name not in ("mnist", "svhn")


def images(name: str) -> DataSettings:
    """Return a named set with shifts of two pixels; photographs and clothes are also mirrored."""
    shifts = Augmentation(crop=2, padding="reflect", alternate_flip=symmetric(name))
    return DataSettings(name=name, validation_fraction=0.05, augmentation=shifts)


def epochs(name: str) -> int:
    """Return how often a short training goes through a named set: digits are learned soon, clothes overfit late."""
    return {"mnist": 4, "fashion_mnist": 16}.get(name, 8)


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
