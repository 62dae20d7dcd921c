"""The cost of a step of several recipes, measured together: memory, time, operations and energy."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import torch

from onward.algorithms import Backprop
from onward.core import EpochDone, TrainerSettings
from onward.costs.step import StepCost
from onward.costs.step_benchmark import MeasuredVariant, Variant, fitting, side_by_side, variants
from onward.data import Splits
from onward.measure import PeakRate, peak_rate
from onward.recipes import Recipe


def measure_methods(
    methods: Sequence[tuple[Recipe, Splits]], device: torch.device, steps: int
) -> tuple[list[StepCost], list[StepCost], dict[str, PeakRate]]:
    """Return the cost of a step of every recipe, of the controls of every network, and the machine's rate by precision.

    Controls are backprop, with recomputing and with micro-batches. They are measured once for each network, batch size,
    precision and kind of optimizer; backprop itself is left out where it is among the recipes. Timed steps of all
    alternate.
    """
    own, controls = [], []
    for recipe, data in methods:
        recipe = fitting(recipe, data)
        own.append(MeasuredVariant(Variant(recipe.name, recipe.algorithm, recipe.trainer), recipe, data))
    for group in _by_network(own):
        leader = next((e for e in group if isinstance(e.recipe.algorithm, Backprop)), group[0])
        known = {_remedies(e.variant) for e in group if isinstance(e.recipe.algorithm, Backprop)}
        for control in variants(leader.recipe):
            if isinstance(control.algorithm, Backprop) and _remedies(control) not in known:
                controls.append(MeasuredVariant(control, leader.recipe, leader.data))
    measured = [*own, *controls]
    rates = _rates(measured, device)
    rows = side_by_side(measured, device, next(iter(rates.values())), steps=steps)
    cost_rows = [_labeled(row, e, rates[e.variant.trainer.precision]) for row, e in zip(rows, measured, strict=True)]
    return cost_rows[: len(own)], cost_rows[len(own) :], rates


def epochs_to(curve: Sequence[EpochDone], target: float) -> int | None:
    """Return the number of epochs until a run reached a validation accuracy; None if it never did."""
    return next((k for k, row in enumerate(curve, 1) if row.validation_accuracy >= target), None)


def short(value: Any) -> str:
    """Write a setting with the fields that are not their defaults."""
    if not hasattr(value, "__dataclass_fields__"):
        return str(value)
    changed = [
        f"{f.name}={short(getattr(value, f.name))}" for f in fields(value) if getattr(value, f.name) != f.default
    ]
    return f"{type(value).__name__}({', '.join(changed)})"


def _by_network(measured: Sequence[MeasuredVariant]) -> list[list[MeasuredVariant]]:
    """Group variants that share a backprop control: network, batch size, precision, optimizer and images."""
    groups: dict[Any, list[MeasuredVariant]] = {}
    for each in measured:
        recipe, data = each.recipe, each.data
        budget = recipe.batch_size, recipe.trainer.precision, _optimizer(recipe.trainer)
        groups.setdefault((recipe.net, *budget, data.shape, data.num_classes), []).append(each)
    return list(groups.values())


def _rates(measured: Sequence[MeasuredVariant], device: torch.device) -> dict[str, PeakRate]:
    """Measure the machine's rate once in every precision."""
    arithmetics = {e.variant.trainer.precision: e.variant.trainer.arithmetic for e in measured}
    return {precision: peak_rate(device, arithmetic) for precision, arithmetic in arithmetics.items()}


def _labeled(row: StepCost, each: MeasuredVariant, rate: PeakRate) -> StepCost:
    """Return a cost row with its share of the peak rate, network, batch size, precision, optimizer and image shape."""
    recipe, data = each.recipe, each.data
    return replace(
        row,
        fraction_of_peak=row.flops.total / row.step_seconds / rate.best,
        network=short(recipe.net),
        beside=recipe.name,
        batch_size=recipe.batch_size,
        precision=recipe.trainer.precision,
        optimizer=_optimizer(recipe.trainer),
        images=f"{'x'.join(map(str, data.shape))} of {data.num_classes} classes",
    )


def _optimizer(trainer: TrainerSettings) -> str:
    """Name the optimizer, with the settings that affect the cost of its step: momentum and weight averaging."""
    momentum = f" with{'' if trainer.momentum else 'out'} momentum" if trainer.optimizer == "sgd" else ""
    return trainer.optimizer + momentum + ("" if trainer.ema_decay is None else ", averaging")


def _remedies(variant: Variant) -> tuple[bool, int]:
    """Return the memory savings of a variant: whether it recomputes, and its number of micro-batches."""
    return variant.trainer.recompute, variant.trainer.micro_batches
