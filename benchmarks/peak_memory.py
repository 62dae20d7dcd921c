"""Peak memory of a training step of ResNet-17 beside backprop's, its controls and its floor."""

from collections.abc import Iterator
from dataclasses import replace

from onward.costs.step import StepMemory
from onward.costs.step_benchmark import StepBenchmark, Variant, random_like, variants
from onward.measure import CATEGORIES
from onward.recipes import Recipe
from report import Order, begin, finish
from subjects import subject


def main() -> None:
    order = begin(__doc__ or "")
    title = "peak memory of a step, MB (targets: total / backprop <= 0.40, activations and workspace <= 0.15)"
    finish("peak_memory", order, title, rows(order))


def rows(order: Order) -> Iterator[dict[str, object]]:
    for batch_size, precision in ((128, "fp32"), (512, "bf16")):
        recipe = subject("resnet17", batch_size=batch_size, precision=precision, quick=order.quick)
        assert recipe is not None
        yield from measured(recipe, order)


def measured(recipe: Recipe, order: Order) -> list[dict[str, object]]:
    data, memory_of = random_like(recipe), {}
    own, *controls = variants(recipe)
    pieces = Variant(f"{own.name}, 4 micro-batches", own.algorithm, replace(own.trainer, micro_batches=4))
    for variant in (own, pieces, *controls):
        benchmark = StepBenchmark.of(variant, recipe, data, order.device)
        memory_of[variant.name] = benchmark.memory()
    moving = {name: _moving(memory) for name, memory in memory_of.items()}
    return [
        {
            "contender": name,
            "images": recipe.batch_size,
            "precision": recipe.trainer.precision,
            **{category: memory.by_category[category] / 1e6 for category in CATEGORIES},
            "total": memory.peak / 1e6,
            "of_backprop": memory.peak / memory_of["backprop"].peak,
            "moving_of_backprop": moving[name] / moving["backprop"],
            "peak_of_floor": memory.peak / memory.floor,
        }
        for name, memory in memory_of.items()
    ]


def _moving(memory: StepMemory) -> int:
    return memory.by_category["activations"] + memory.by_category["workspace"]


if __name__ == "__main__":
    main()
