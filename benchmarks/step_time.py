"""Greedy step time beside backprop's, and the fraction of the machine's peak rate that both reach.

On a CUDA device both are measured a second time as CUDA graphs (`TrainerSettings(capture="auto")`).
"""

from collections.abc import Iterator

from onward.costs.step_benchmark import random_like
from onward.measure import peak_rate
from onward.recipes import Recipe
from report import Order, begin, finish
from sides import both, seconds_of
from subjects import subject

# What two cores do in about a minute; the rest is for a GPU, or for `--whole`.
ON_CPU = {
    ("tiny_cnn", 128, "fp32"),
    ("tiny_cnn", 128, "bf16"),
    ("tiny_cnn", 512, "bf16"),
    ("vgg8", 128, "bf16"),
    ("resnet17", 128, "bf16"),
}


def main() -> None:
    order = begin(__doc__ or "", steps=3)
    finish(
        "step_time",
        order,
        "greedy step time / backprop step time (target <= 0.70)",
        rows(order),
        unprinted=("not_captured",),
    )


def rows(order: Order) -> Iterator[dict[str, object]]:
    for name in ("resnet17", "vgg8", "tiny_cnn"):
        for batch_size in (128, 512):
            for precision in ("fp32", "bf16"):
                if not order.whole and (name, batch_size, precision) not in ON_CPU:
                    continue
                recipe = subject(name, batch_size=batch_size, precision=precision, quick=order.quick)
                if recipe:
                    yield row(recipe, order)


def row(recipe: Recipe, order: Order) -> dict[str, object]:
    data = random_like(recipe)
    rate = peak_rate(order.device, recipe.trainer.arithmetic).best
    sides = both(recipe, data, order)
    columns = seconds_of(sides, recipe, data, order)
    flops = [benchmark.flops().total for benchmark in sides]
    reached = [count / columns[name] / rate for count, name in zip(flops, ("greedy_s", "backprop_s"), strict=True)]
    return {
        "net": recipe.name,
        "batch": recipe.batch_size,
        "precision": recipe.trainer.precision,
        **columns,
        "ratio_of_operations": flops[0] / flops[1],
        "peak_gflops": rate / 1e9,
        "greedy_of_peak": reached[0],
        "backprop_of_peak": reached[1],
    }


if __name__ == "__main__":
    main()
