"""Micro-batches inside the span: what they save beside backprop, and the time they cost."""

from dataclasses import replace
from statistics import median

from onward.costs.step_benchmark import StepBenchmark, Variant, interleave, random_like, variants
from onward.recipes import Recipe
from report import Order, begin, finish
from subjects import subject


def main() -> None:
    order, rows = begin(__doc__ or "", steps=2), []
    for name in ("vgg8", "resnet17") if order.whole else ("vgg8",):
        recipe = subject(name, batch_size=128, quick=order.quick)
        rows += measured(recipe, order) if recipe else []
    title = "micro-batches inside the span (targets for VGG8: peak <= 0.40 of backprop's at <= 1.05 of the time)"
    finish("span_pieces", order, title, rows)


def measured(recipe: Recipe, order: Order) -> list[dict[str, object]]:
    data = random_like(recipe)
    own, control = variants(recipe)[:2]
    ways = [Variant(f"{k} pieces", own.algorithm, replace(own.trainer, micro_batches=k)) for k in (1, 2, 3, 4)]
    benchmarks = [StepBenchmark.of(variant, recipe, data, order.device) for variant in (control, *ways)]
    seconds = [median(times) for times in interleave([benchmark.seconds for benchmark in benchmarks], order.steps)]
    peaks = [benchmark.memory().peak for benchmark in benchmarks]
    return [
        {
            "net": recipe.name,
            "contender": benchmark.name,
            "batch": recipe.batch_size,
            "seconds": time,
            "of_one_piece": time / seconds[1],
            "peak_mb": peak / 1e6,
            "of_backprop": peak / peaks[0],
        }
        for benchmark, time, peak in zip(benchmarks, seconds, peaks, strict=True)
    ]


if __name__ == "__main__":
    main()
