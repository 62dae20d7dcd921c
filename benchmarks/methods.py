"""Memory and time of a step of every method, beside backprop through the same network with the same batches."""

from dataclasses import replace
from statistics import median

from onward.algorithms import ALGORITHMS, Backprop, DeepSupervision
from onward.costs.step_benchmark import StepBenchmark, interleave, random_like, variants
from onward.recipes import RECIPES, Recipe
from report import Order, begin, finish


def main() -> None:
    order = begin(__doc__ or "", steps=5)
    methods = [method for method in ALGORITHMS if method not in (Backprop, DeepSupervision)]
    rows = [_row(_on_digits(method), order) for method in methods]
    finish("methods", order, "one step of each method beside backprop on the same network", rows)


def _on_digits(method: type) -> Recipe:
    """Return a method's short row on MNIST, or else the next best that is like it."""
    own = [recipe for recipe in RECIPES if type(recipe.algorithm) is method]
    endings = ("-mnist-cpu", "-mnist", "")
    return next(recipe for ending in endings for recipe in own if recipe.name.endswith(ending))


def _row(recipe: Recipe, order: Order) -> dict[str, object]:
    recipe = replace(recipe, batch_size=8 if order.quick else recipe.batch_size)
    data = random_like(recipe)
    own, control = (StepBenchmark(variant, recipe, data, order.device) for variant in variants(recipe)[:2])
    memory = [benchmark.memory().peak for benchmark in (own, control)]
    seconds = [median(times) for times in interleave([own.seconds, control.seconds], order.steps)]
    return {
        "method": type(recipe.algorithm).__name__,
        "recipe": recipe.name,
        "net": type(recipe.net).__name__,
        "batch": recipe.batch_size,
        "precision": recipe.trainer.precision,
        "parameters_M": sum(p.numel() for p in own.learner.parameters()) / 1e6,
        "memory_MB": memory[0] / 1e6,
        "memory_of_backprop": memory[0] / memory[1],
        "step_s": seconds[0],
        "step_of_backprop": seconds[0] / seconds[1],
    }


if __name__ == "__main__":
    main()
