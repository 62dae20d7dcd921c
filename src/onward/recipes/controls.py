"""Controls beyond backprop: what else a claim of accuracy, memory or speed has to be compared with.

Each is derived by rule, so that it exists for every row: deep supervision from the row, which names it, the others from
its backprop control, backprop-NAME, which other rows may share. They are recipes like any other; results are recorded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from onward.recipes.recipe import Recipe, deep_supervision, renamed

PIECES = 4  # of a batch, in the accumulated control

DERIVED = {
    "deep_supervision-RECIPE": "all objectives of the local algorithm, with the gradient of their sum end to end",
    "backprop_recompute-NAME": "backprop that keeps block inputs only and computes the rest again",
    "backprop_accumulated-NAME": f"backprop with {PIECES} micro-batches per step",
}
"""What each derived control is, by its name: RECIPE is a row, backprop-NAME its backprop control."""


def further_controls(recipes: Sequence[Recipe]) -> tuple[Recipe, ...]:
    """Return the controls that rows and their backprop controls imply, but for names that `recipes` has already."""
    known = {recipe.name: recipe for recipe in recipes}
    derived: dict[str, Recipe] = {}
    for local in recipes:
        if local.backprop is not None:
            for recipe in _variants(local, known[local.backprop]):
                derived.setdefault(recipe.name, recipe)
    return tuple(recipe for name, recipe in derived.items() if name not in known)


def recomputed(control: Recipe) -> Recipe:
    """Return a backprop control with activation checkpointing: the same weights for less memory and more time."""
    return replace(
        control,
        name=renamed(control.name, "backprop_recompute"),
        description=f"{control.description}, activations computed again",
        trainer=replace(control.trainer, recompute=True),
    )


def accumulated(control: Recipe, *, pieces: int = PIECES) -> Recipe:
    """Return a backprop control whose batches go through in `pieces`: their gradients add up to one step."""
    return replace(
        control,
        name=renamed(control.name, "backprop_accumulated"),
        description=f"{control.description}, {pieces} micro-batches",
        trainer=replace(control.trainer, micro_batches=pieces),
    )


def _variants(local: Recipe, control: Recipe) -> Iterator[Recipe]:
    if local.algorithm.passes_gradients:
        yield deep_supervision(local, learning_rate=control.trainer.learning_rate)
    yield recomputed(control)
    yield accumulated(control)
