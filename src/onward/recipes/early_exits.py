"""Early exits on other methods' rows: the same training and control, and an inference rule that lets images leave."""

from dataclasses import replace

from onward.algorithms import EarlyExits
from onward.recipes import deeper_forward, mono_forward
from onward.recipes.recipe import Recipe


def leaving(row: Recipe, *, margin: float = 0.01) -> Recipe:
    """The same row with early exits."""
    return replace(
        row,
        name=f"early_exits-{row.name.replace('-', '_', 1)}",
        description=f"Early exits on {row.description}",
        algorithm=EarlyExits(of=row.algorithm, margin=margin),
        published=None,
    )


_ROWS = (
    deeper_forward.digits(),
    deeper_forward.mnist(),
    deeper_forward.fashion_mnist(),
    mono_forward.fast(mono_forward.mnist()),
    mono_forward.fast(mono_forward.fashion_mnist()),
    mono_forward.fast(mono_forward.cifar10()),
)
RECIPES = tuple(leaving(row) for row in _ROWS)
