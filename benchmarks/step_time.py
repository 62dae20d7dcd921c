"""Greedy step time beside backprop's, and the fraction of the machine's peak rate that both reach."""

from statistics import median

from onward.costs.step_benchmark import StepBenchmark, interleave, random_like, variants
from onward.measure import peak_rate
from onward.recipes import Recipe
from report import Order, begin, finish
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
    order, rows = begin(__doc__ or "", steps=3), []
    for name in ("resnet17", "vgg8", "tiny_cnn"):
        for batch_size in (128, 512):
            for precision in ("fp32", "bf16"):
                if not order.whole and (name, batch_size, precision) not in ON_CPU:
                    continue
                recipe = subject(name, batch_size=batch_size, precision=precision, quick=order.quick)
                rows += [row(recipe, order)] if recipe else []
    finish("step_time", order, "greedy step time / backprop step time (target <= 0.70)", rows)


def row(recipe: Recipe, order: Order) -> dict[str, object]:
    data = random_like(recipe)
    benchmarks = [StepBenchmark(variant, recipe, data, order.device) for variant in variants(recipe)[:2]]
    rate = peak_rate(order.device, recipe.trainer.arithmetic).best
    own, control = (median(times) for times in interleave([benchmark.seconds for benchmark in benchmarks], order.steps))
    flops = [benchmark.flops().total for benchmark in benchmarks]
    return {
        "net": recipe.name,
        "batch": recipe.batch_size,
        "precision": recipe.trainer.precision,
        "greedy_s": own,
        "backprop_s": control,
        "ratio": own / control,
        "ratio_of_operations": flops[0] / flops[1],
        "peak_gflops": rate / 1e9,
        "greedy_of_peak": flops[0] / own / rate,
        "backprop_of_peak": flops[1] / control / rate,
    }


if __name__ == "__main__":
    main()
