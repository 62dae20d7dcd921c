"""Rows that several methods of fully connected layers share: digits in seconds, and MNIST for two cores."""

from dataclasses import replace

from onward.algorithms import Algorithm
from onward.core import TrainerSettings
from onward.data import DataSettings
from onward.nets import MLP
from onward.recipes.recipe import Recipe


def digits_row(method: str, title: str, algorithm: Algorithm, *, epochs: int = 30) -> Recipe:
    """Return a method's row on scikit-learn's 8x8 digits, with three layers of 500."""
    return Recipe(
        name=f"{method}-digits",
        description=f"{title}, MLP, digits",
        algorithm=algorithm,
        net=MLP(width=500, depth=3),
        data=DataSettings(name="digits"),
        trainer=TrainerSettings(learning_rate=1e-3),
        epochs=epochs,
        batch_size=64,
        backprop=f"backprop-{method}-digits",
    )


def fast(row: Recipe) -> Recipe:
    """Return the same row with three layers of 500 and twenty epochs, for two cores."""
    return replace(
        row,
        name=f"{row.name}-fast",
        net=MLP(width=500, depth=3),
        trainer=replace(row.trainer, learning_rate=1e-3),
        epochs=20,
        backprop=f"{row.backprop}-fast",
    )
