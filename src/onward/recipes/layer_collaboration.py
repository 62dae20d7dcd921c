"""Layer collaboration (Lorberbom et al. 2024), each row beside backprop through the same network."""

from dataclasses import replace

from onward.algorithms import LayerCollaboration
from onward.core import TrainerSettings
from onward.data import DataSettings
from onward.nets import MLP
from onward.recipes.recipe import Recipe, control


def digits() -> Recipe:
    """scikit-learn's 8x8 digits; seconds on a laptop."""
    return Recipe(
        name="layer_collaboration-digits",
        description="Layer collaboration, MLP, digits",
        algorithm=LayerCollaboration(),
        net=MLP(width=500, depth=3),
        data=DataSettings(name="digits"),
        trainer=TrainerSettings(learning_rate=1e-3),
        epochs=30,
        batch_size=64,
        backprop="backprop-layer_collaboration-digits",
    )


def mnist() -> Recipe:
    """Three layers of 1000, as `forward_forward-mnist`."""
    return replace(
        digits(),
        name="layer_collaboration-mnist",
        description="Layer collaboration, MLP, MNIST",
        net=MLP(width=1000, depth=3),
        data=DataSettings(name="mnist", validation_fraction=1 / 6),
        trainer=TrainerSettings(learning_rate=5e-4, precision="bf16"),
        epochs=60,
        batch_size=100,
        published=None,
        backprop="backprop-layer_collaboration-mnist",
    )


def fast(row: Recipe) -> Recipe:
    """Three layers of 500 and twenty epochs, for two cores."""
    return replace(
        row,
        name=f"{row.name}-fast",
        net=MLP(width=500, depth=3),
        trainer=replace(row.trainer, learning_rate=1e-3),
        epochs=20,
        backprop=f"{row.backprop}-fast",
    )


_LOCAL = (digits(), mnist(), fast(mnist()))
RECIPES = tuple(recipe for row in _LOCAL for recipe in (row, control(row, learning_rate=1e-3)))
