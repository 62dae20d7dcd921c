"""SymBa (Lee and Song 2023), each row beside backprop through the same network."""

from dataclasses import replace

from onward.algorithms import SymBa
from onward.core import TrainerSettings
from onward.data import DataSettings
from onward.nets import MLP
from onward.recipes import narrow_mlp
from onward.recipes.narrow_mlp import digits_row
from onward.recipes.recipe import Published, Recipe, control

_SOURCE = "Lee and Song 2023, as printed by Sun et al. 2025, table 1; network and settings are ours"


def digits() -> Recipe:
    """scikit-learn's 8x8 digits; seconds on a laptop."""
    return digits_row("symba", "SymBa", SymBa(), epochs=40)


def mnist() -> Recipe:
    """Three layers of 1000."""
    return Recipe(
        name="symba-mnist",
        description="SymBa, MLP, MNIST",
        algorithm=SymBa(),
        net=MLP(width=1000, depth=3),
        data=DataSettings(name="mnist", validation_fraction=1 / 6),
        trainer=TrainerSettings(learning_rate=5e-4, precision="bf16"),
        epochs=60,
        batch_size=100,
        published=Published(test_accuracy=0.9858, source=_SOURCE),
        backprop="backprop-symba-mnist",
    )


def cifar10() -> Recipe:
    """Three layers of 3000, colour photographs."""
    return replace(
        mnist(),
        name="symba-cifar10",
        description="SymBa, MLP, CIFAR-10",
        net=MLP(width=3000, depth=3),
        data=DataSettings(name="cifar10", validation_fraction=0.1),
        published=Published(test_accuracy=0.5909, source=_SOURCE),
        backprop="backprop-symba-cifar10",
    )


def fast(row: Recipe) -> Recipe:
    """Half the width and twenty epochs, for two cores."""
    assert row.published is not None
    return replace(narrow_mlp.fast(row), published=replace(row.published, source=f"{_SOURCE} (20 epochs)"))


_LOCAL = (digits(), mnist(), cifar10(), fast(mnist()))
RECIPES = tuple(recipe for row in _LOCAL for recipe in (row, control(row, learning_rate=1e-3)))
