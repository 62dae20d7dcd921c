"""Forward-Forward as a recurrent network (Hinton 2022), each row beside backprop through the same layers, upwards."""

from dataclasses import replace

from onward.algorithms import RecurrentForwardForward
from onward.core import TrainerSettings
from onward.data import DataSettings
from onward.nets import MLP
from onward.recipes.narrow_mlp import digits_row, fast
from onward.recipes.recipe import Published, Recipe, control


def digits() -> Recipe:
    """scikit-learn's 8x8 digits; seconds on a laptop."""
    return digits_row("recurrent_forward_forward", "Recurrent Forward-Forward", RecurrentForwardForward())


def mnist() -> Recipe:
    """Three layers of 2000; how many the paper has was not at hand."""
    return replace(
        digits(),
        name="recurrent_forward_forward-mnist",
        description="Recurrent Forward-Forward, MLP, MNIST",
        net=MLP(width=2000, depth=3),
        data=DataSettings(name="mnist", validation_fraction=1 / 6),
        trainer=TrainerSettings(learning_rate=5e-4, precision="bf16"),
        epochs=60,
        batch_size=100,
        published=Published(test_accuracy=0.9869, source="Hinton 2022, recurrent with top-down connections"),
        backprop="backprop-recurrent_forward_forward-mnist",
    )


_LOCAL = (digits(), mnist(), fast(mnist()))
RECIPES = tuple(recipe for row in _LOCAL for recipe in (row, control(row, learning_rate=1e-3)))
