"""HFF (2026, a reconstruction), each row beside backprop through the same network."""

from dataclasses import replace

from onward.algorithms import HFF
from onward.core import TrainerSettings
from onward.data import Augmentation, DataSettings
from onward.nets import MLP, MonoCNN
from onward.recipes import airbench
from onward.recipes.recipe import Published, Recipe, control

_SOURCE = "arXiv 2605.00082, abstract and notes; network and settings are ours"


def digits() -> Recipe:
    """scikit-learn's 8x8 digits; seconds on a laptop."""
    return Recipe(
        name="hff-digits",
        description="HFF (reconstruction), 4 conv, digits",
        algorithm=HFF(),
        net=MonoCNN(width=16),
        data=DataSettings(name="digits"),
        trainer=TrainerSettings(learning_rate=2e-3),
        epochs=20,
        batch_size=64,
        backprop="backprop-hff-digits",
    )


def cifar10() -> Recipe:
    """Small photographs, shifted and mirrored."""
    return Recipe(
        name="hff-cifar10",
        description="HFF (reconstruction), 4 conv, cifar10",
        algorithm=HFF(grid=4),
        net=MonoCNN(width=128, dropout=0.2),
        data=DataSettings(name="cifar10", validation_fraction=0.1, augmentation=Augmentation(crop=4, flip=True)),
        trainer=TrainerSettings(learning_rate=1e-3, precision="bf16"),
        epochs=100,
        batch_size=128,
        published=Published(test_accuracy=0.8308, source=_SOURCE),
        backprop="backprop-hff-cifar10",
    )


def cifar10_mlp() -> Recipe:
    """The same without convolutions: three layers of 2000."""
    return replace(
        cifar10(),
        name="hff_mlp-cifar10",
        description="HFF (reconstruction), MLP, cifar10",
        net=MLP(width=2000, depth=3),
        published=Published(test_accuracy=0.6193, source=_SOURCE),
        backprop="backprop-hff_mlp-cifar10",
    )


def fast(data: str) -> Recipe:
    """The same for two cores: the airbench network and Muon, few epochs; the paper has this row for CIFAR-10 alone."""
    row = cifar10()
    other = replace(
        row,
        name=f"hff-{data}",
        description=row.description.replace("cifar10", data),
        data=replace(row.data, name=data),
        backprop=f"backprop-hff-{data}",
    )
    short = airbench.fast(other, HFF(grid=4))
    return replace(short, published=row.published if data == "cifar10" else None)


_FULL = (digits(), cifar10(), cifar10_mlp())
_FAST = tuple(fast(data) for data in ("mnist", "fashion_mnist", "cifar10"))
RECIPES = (
    *(recipe for row in _FULL for recipe in (row, control(row, learning_rate=1e-3))),
    *airbench.listed(*_FAST),
)
