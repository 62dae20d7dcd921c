"""Where the time of a step goes: its phases, greedy and by backprop, on one network each."""

from typing import Any

from onward.costs.step_benchmark import StepBenchmark, random_like, variants
from onward.recipes import Recipe
from report import Order, begin, finish
from subjects import subject

PHASES = ("data", "forward", "score", "gradient", "optimizer", "handoff")


def main() -> None:
    order, rows = begin(__doc__ or "", steps=3), []
    for name in ("resnet17", "vgg8", "tiny_cnn"):
        recipe = subject(name, batch_size=128, precision="bf16", quick=order.quick)
        rows += measured(recipe, order) if recipe else []
    finish("phases", order, "seconds of a step by phase", rows)


def measured(recipe: Recipe, order: Order) -> list[dict[str, Any]]:
    data, rows = random_like(recipe), []
    for variant in variants(recipe)[:2]:
        benchmark = StepBenchmark.of(variant, recipe, data, order.device)
        benchmark.step()
        phases = benchmark.phases(order.steps)
        seconds = {phase: sum(row.seconds for row in phases if row.phase == phase) for phase in PHASES}
        named = {"net": recipe.name, "contender": variant.name, "batch": recipe.batch_size}
        rows.append({**named, "precision": recipe.trainer.precision, **seconds})
    return rows


if __name__ == "__main__":
    main()
