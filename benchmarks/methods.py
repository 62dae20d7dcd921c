"""Memory, operations and time of a step of every method, beside backprop through the same network and batches.

On a CPU with a recipe's own batch, in the process's own time on one thread; on a CUDA device with 128 and 512 images,
and a second time as CUDA graphs.
"""

from collections.abc import Iterator
from dataclasses import replace

from onward.algorithms import ALGORITHMS, Backprop, DeepSupervision
from onward.costs.step_benchmark import random_like
from onward.recipes import RECIPES, Recipe
from report import Order, begin, finish, on_one_thread
from sides import both, seconds_of


def main() -> None:
    order = begin(__doc__ or "", steps=20)
    finish(
        "methods",
        order,
        "one step of each method beside backprop on the same network",
        rows(order),
        unprinted=("not_captured",),
    )


def rows(order: Order) -> Iterator[dict[str, object]]:
    for method in ALGORITHMS:
        if method in (Backprop, DeepSupervision):
            continue
        recipe = _on_digits(method)
        batches = (128, 512) if order.device.type == "cuda" else (recipe.batch_size,)
        for batch in (8,) if order.quick else batches:
            yield _row(replace(recipe, batch_size=batch), order)


def _on_digits(method: type) -> Recipe:
    """Return a method's short row on MNIST, or else the next best that is like it."""
    own = [recipe for recipe in RECIPES if type(recipe.algorithm) is method]
    endings = ("-mnist-cpu", "-mnist", "")
    return next(recipe for ending in endings for recipe in own if recipe.name.endswith(ending))


def _row(recipe: Recipe, order: Order) -> dict[str, object]:
    data = random_like(recipe)
    sides = both(recipe, data, order)
    on_one_thread(sides, order)
    memory = [benchmark.memory().peak for benchmark in sides]
    operations = [benchmark.flops().total for benchmark in sides]
    seconds = seconds_of(sides, recipe, data, order)
    return {
        "method": type(recipe.algorithm).__name__,
        "recipe": recipe.name,
        "net": type(recipe.net).__name__,
        "batch": recipe.batch_size,
        "precision": recipe.trainer.precision,
        "parameters_M": sum(p.numel() for p in sides[0].learner.parameters()) / 1e6,
        "memory_MB": memory[0] / 1e6,
        "memory_of_backprop": memory[0] / memory[1],
        "operations_of_backprop": operations[0] / operations[1],
        "step_s": seconds.pop("greedy_s"),
        "step_of_backprop": seconds.pop("ratio"),
        **{name: value for name, value in seconds.items() if "captured" in name},
    }


if __name__ == "__main__":
    main()
