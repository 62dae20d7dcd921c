"""Layer collaboration (Lorberbom et al. 2024), each row beside backprop through the same network."""

from dataclasses import replace

from onward.algorithms import LayerCollaboration
from onward.core import TrainerSettings
from onward.data import DataSettings
from onward.nets import MLP
from onward.recipes.narrow_mlp import digits_row, fast
from onward.recipes.recipe import Recipe, control


def digits() -> Recipe:
    """scikit-learn's 8x8 digits; seconds on a laptop."""
    return digits_row("layer_collaboration", "Layer collaboration", LayerCollaboration())


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


_LOCAL = (digits(), mnist(), fast(mnist()))
RECIPES = tuple(recipe for row in _LOCAL for recipe in (row, control(row, learning_rate=1e-3)))
