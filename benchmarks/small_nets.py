"""Images per second of small networks on small images: plain, captured and compiled steps, local beside backprop.

On a CPU, with a recipe's own batch, in the process's own time on one thread. Compiling, of which the seconds stand in
the rows, is left to `--whole`.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from statistics import median
from typing import Any

from onward.core import CapturedTrainer, TrainerSettings
from onward.costs.step_benchmark import StepBenchmark, Variant, interleave, random_like, variants
from onward.data import Splits
from onward.recipes import Recipe
from onward.recipes.lookup import find_recipe
from onward.training.loop import per_second, stepper
from report import Order, begin, finish, on_one_thread

RECIPES = ("deeper_forward-digits", "mono_forward-digits", "forward_forward-digits", "distance_forward-digits")
_AT_ONCE = 20  # steps that are timed together: clocks of processes are coarse


def main() -> None:
    order = begin(__doc__ or "", steps=15)
    if order.device.type != "cpu":
        raise SystemExit("captured steps on a GPU are in step_time.py and launches.py: run this one with --device cpu")
    finish("small_nets", order, "images per second of small networks", rows(order))


def rows(order: Order) -> Iterator[dict[str, Any]]:
    for name in RECIPES[:1] if order.quick else RECIPES:
        yield _row(find_recipe(name), order)


def _row(recipe: Recipe, order: Order) -> dict[str, Any]:
    data, settings = random_like(recipe), recipe.trainer
    ways = {"plain": settings, "captured": replace(settings, capture="auto")}
    if order.whole:
        ways["compiled"] = replace(settings, compile=True)
    sides = [(way, variant, own) for way, own in ways.items() for variant in variants(recipe)[:2]]
    made = [_ready(variant, own, recipe, data, order) for _, variant, own in sides]
    timed = interleave([lambda each=each: _seconds(each) for each, _ in made], order.steps)
    row: dict[str, Any] = {"recipe": recipe.name, "net": type(recipe.net).__name__, "batch": recipe.batch_size}
    row |= {"precision": settings.precision}
    for (way, variant, _), (_, warming), seconds in zip(sides, made, timed, strict=True):
        whose = "backprops_" if variant.name == "backprop" else ""
        row[f"{whose}{way}_images_per_s"] = per_second(recipe.batch_size, median(seconds))
        if way == "compiled":
            row[f"{whose}compiling_s"] = warming
    for way in list(ways)[1:]:
        row[f"{way}_of_plain"] = row[f"{way}_images_per_s"] / row["plain_images_per_s"]
    return row


def _ready(
    variant: Variant, settings: TrainerSettings, recipe: Recipe, data: Splits, order: Order
) -> tuple[StepBenchmark, float]:
    """Return a benchmark whose next step is a repetition, and the seconds until then."""
    benchmark = StepBenchmark.of(replace(variant, trainer=settings), recipe, data, order.device)
    on_one_thread([benchmark], order)
    benchmark.stepper = stepper(benchmark.trainer)
    before = time.process_time()
    benchmark.warm_up()
    seconds = time.process_time() - before
    if isinstance(benchmark.stepper, CapturedTrainer) and benchmark.stepper.reason:
        raise RuntimeError(f"{recipe.name}, {variant.name}: {benchmark.stepper.reason}")
    return benchmark, seconds


def _seconds(benchmark: StepBenchmark) -> float:
    return sum(benchmark.seconds() for _ in range(_AT_ONCE)) / _AT_ONCE


if __name__ == "__main__":
    main()
