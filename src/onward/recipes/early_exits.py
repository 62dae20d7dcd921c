"""Early exits on other methods' rows: the same training and control, and an inference rule that lets images leave."""

from dataclasses import replace

from onward.algorithms import EarlyExits
from onward.recipes import deeper_forward, mono_forward, shared
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


def trained_heads(row: Recipe) -> Recipe:
    """The same row with exits that have classifiers of their own, each trained on who is left."""
    assert isinstance(row.algorithm, EarlyExits)
    return replace(
        row,
        name=row.name.replace("early_exits-", "early_exits-heads_", 1),
        description=row.description.replace("Early exits", "Early exits with trained heads", 1),
        algorithm=replace(row.algorithm, heads="trained"),
    )


_ROWS = (
    deeper_forward.digits(),
    deeper_forward.mnist(),
    shared.deeper_forward_row(),
    mono_forward.fast(mono_forward.mnist()),
    mono_forward.fast(mono_forward.fashion_mnist()),
    mono_forward.fast(mono_forward.cifar10()),
)
_OWN = tuple(leaving(row) for row in _ROWS)
RECIPES = (*_OWN, *[trained_heads(row) for row in _OWN[:2]])
