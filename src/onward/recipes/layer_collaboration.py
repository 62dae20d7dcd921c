"""Layer collaboration (Lorberbom et al. 2024), each row beside backprop through the same network."""

from dataclasses import replace

from onward.algorithms import LayerCollaboration
from onward.recipes import forward_forward
from onward.recipes.narrow_mlp import digits_row, fast
from onward.recipes.recipe import Recipe, control


def digits() -> Recipe:
    """scikit-learn's 8x8 digits; seconds on a laptop."""
    return digits_row("layer_collaboration", "Layer collaboration", LayerCollaboration())


def mnist() -> Recipe:
    """All but the method as in `forward_forward-mnist`, the row that it has to gain over."""
    return replace(
        forward_forward.mnist(),
        name="layer_collaboration-mnist",
        description="Layer collaboration, MLP, MNIST",
        algorithm=LayerCollaboration(),
        published=None,
        backprop="backprop-layer_collaboration-mnist",
    )


_LOCAL = (digits(), mnist(), fast(mnist()))
RECIPES = tuple(recipe for row in _LOCAL for recipe in (row, control(row, learning_rate=1e-3)))
