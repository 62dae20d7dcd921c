"""What a step of several recipes costs, measured together: memory, time, operations and energy."""

from collections.abc import Sequence
from typing import Any

import torch

from onward.algorithms import Backprop
from onward.data import Splits
from onward.measure import peak_rate
from onward.recipes import Recipe
from onward.runs.measuring import Contender, Entrant, contenders, fitting, side_by_side

Row = dict[str, Any]


def measure_methods(
    methods: Sequence[tuple[Recipe, Splits]], device: torch.device, steps: int
) -> tuple[list[Row], list[Row], dict[str, float]]:
    """Return the cost of every recipe's own way, of the controls of every network among them, and the machine's rate.

    Controls are backprop, with recomputing and with micro-batches. They are measured once for each network, batch size
    and precision; backprop itself is left out where it is among the recipes. Timed steps of all alternate.
    """
    own, controls = [], []
    for recipe, data in methods:
        recipe = fitting(recipe, data)
        own.append(Entrant(Contender(recipe.name, recipe.algorithm, recipe.trainer), recipe, data))
    for group in _by_network(own):
        leader = next((e for e in group if isinstance(e.recipe.algorithm, Backprop)), group[0])
        known = {_remedies(e.contender) for e in group if isinstance(e.recipe.algorithm, Backprop)}
        for control in contenders(leader.recipe):
            if isinstance(control.algorithm, Backprop) and _remedies(control) not in known:
                controls.append(Entrant(control, leader.recipe, leader.data))
    rate = peak_rate(device, methods[0][0].trainer.arithmetic)
    rows = side_by_side([*own, *controls], device, rate, steps=steps)
    for row, entrant in zip(rows, [*own, *controls], strict=True):
        row |= {"network": type(entrant.recipe.net).__name__, "beside": entrant.recipe.name}
    return rows[: len(own)], rows[len(own) :], rate._asdict()


def epochs_to(curve: Sequence[Row], target: float) -> int | None:
    """Return how many epochs a run took to reach a validation accuracy; None if it never did."""
    return next((k for k, row in enumerate(curve, 1) if row["validation_accuracy"] >= target), None)


def _by_network(entrants: Sequence[Entrant]) -> list[list[Entrant]]:
    """Group entrants whose backprop control would be one and the same step."""
    groups: dict[Any, list[Entrant]] = {}
    for entrant in entrants:
        trainer = entrant.recipe.trainer
        key = entrant.recipe.net, entrant.recipe.batch_size, trainer.precision, entrant.data.shape
        groups.setdefault(key, []).append(entrant)
    return list(groups.values())


def _remedies(contender: Contender) -> tuple[bool, int]:
    """What backprop does to need less memory."""
    return contender.trainer.recompute, contender.trainer.micro_batches
