"""A method's step and backprop's, timed in turn: as launched, and on a CUDA device as graphs too."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from onward.core import CapturedTrainer
from onward.costs.step_benchmark import StepBenchmark, interleave, variants
from onward.data import Splits
from onward.recipes import Recipe
from report import Order


def both(recipe: Recipe, data: Splits, order: Order) -> list[StepBenchmark]:
    """Return the method's and backprop's benchmark."""
    return [StepBenchmark.of(variant, recipe, data, order.device) for variant in variants(recipe)[:2]]


def seconds_of(sides: Sequence[StepBenchmark], recipe: Recipe, data: Splits, order: Order) -> dict[str, Any]:
    """Return columns of a row: median seconds of both, and their ratio; where it is so ordered, of their graphs too."""
    own, control = _medians(sides, order)
    columns: dict[str, Any] = {"greedy_s": own, "backprop_s": control, "ratio": own / control}
    if not order.captured:
        return columns
    graphs = both(replace(recipe, trainer=replace(recipe.trainer, capture="auto")), data, order)
    captured, obstacle = (None, None), ""
    try:
        for benchmark in graphs:
            benchmark.warm_up()
        captured, obstacle = _medians(graphs, order), "; ".join(filter(None, map(_obstacle, graphs)))
    except RuntimeError as error:  # of a device; what was measured before stays
        obstacle = str(error).splitlines()[0]
    return columns | {
        "captured_greedy_s": captured[0],
        "captured_backprop_s": captured[1],
        "captured_ratio": captured[0] / captured[1] if captured[0] and captured[1] else None,
        "not_captured": obstacle,
    }


def _medians(benchmarks: Sequence[StepBenchmark], order: Order) -> tuple[float, float]:
    own, control = (median(times) for times in interleave([each.seconds for each in benchmarks], order.steps))
    return own, control


def _obstacle(benchmark: StepBenchmark) -> str:
    """Return why the steps of a benchmark are no graphs, nothing if they are."""
    if not isinstance(benchmark.stepper, CapturedTrainer):
        return "no CUDA device"
    return f"{benchmark.name}: {benchmark.stepper.reason}" if benchmark.stepper.reason else ""
