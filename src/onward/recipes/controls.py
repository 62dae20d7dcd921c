"""Controls: the trainings to compare a row with, on its network and budget, in accuracy, memory and speed.

Each is derived from the row, so that every row has them; they are recipes like any other, named CONTROL-ROW.
"""

from typing import Any

from onward.algorithms import Algorithm, Backprop, DeepSupervision, RandomFeatures
from onward.core import TrainerSettings
from onward.recipes.recipe import Recipe

PIECES = 4  # of a batch, in the accumulated control

CONTROLS = {
    "backprop": "the same network, with the gradient of one loss through all of it",
    "deep_supervision": "all objectives of the local algorithm, with the gradient of their sum end to end",
    "recompute": "backprop that keeps block inputs only and computes the rest again",
    "accumulate": f"backprop with {PIECES} micro-batches per step",
    "random_features": "linear read-outs of layers with their initial weights",
}
"""A description of each control, by name."""


def control(row: Recipe, kind: str) -> Recipe:
    """Return a control of a row, with the row's budget and the row's `backprop_rate` as its learning rate.

    The schedule keeps its shape: it ends at the same share of the learning rate. Raises ValueError for an unknown
    control, or one that the row cannot have.
    """
    algorithm = _algorithm(row, kind)
    return Recipe(
        name=f"{kind}-{row.name}",
        description=f"control of {row.name}",
        algorithm=algorithm,
        net=row.net,
        data=row.data,
        trainer=_trainer(row, kind),
        epochs=row.epochs,
        batch_size=row.batch_size,
        seed=row.seed,
        class_weights=row.class_weights,
    )


def _algorithm(row: Recipe, kind: str) -> Algorithm:
    """Return the algorithm of a control. Raises ValueError if the row cannot have it."""
    of = row.algorithm
    if kind not in CONTROLS:
        raise ValueError(f"no control is called {kind!r}; choose {', '.join(CONTROLS)}")
    if isinstance(of, Backprop | DeepSupervision) or (kind == "random_features" and isinstance(of, RandomFeatures)):
        raise ValueError(f"{row.name} is a control itself ({type(of).__name__}): name the row that it is a control of")
    if kind == "random_features":
        return RandomFeatures()
    if kind != "deep_supervision":
        return Backprop(of=of)
    if not of.passes_gradients:
        others = ", ".join(other for other in CONTROLS if other != kind)
        raise ValueError(
            f"{row.name} has no control deep_supervision: no gradient could pass between the blocks of "
            f"{type(of).__name__}, and it would be the same training again; choose {others}"
        )
    return DeepSupervision(of=of)


def _trainer(row: Recipe, kind: str) -> TrainerSettings:
    """Return the trainer settings of a control: its schedule ends at the same share of its learning rate."""
    changed: dict[str, Any] = {"recompute": {"recompute": True}, "accumulate": {"micro_batches": PIECES}}.get(kind, {})
    if row.backprop_rate is not None:
        rate = row.trainer.learning_rate
        final = row.backprop_rate * row.trainer.final_learning_rate / rate if rate else 0.0
        changed |= {"learning_rate": row.backprop_rate, "final_learning_rate": final}
    return TrainerSettings(**{**vars(row.trainer), **changed})
