"""A greedy step with bodies compiled by torch.compile, beside the same step as it is."""

from dataclasses import replace
from pathlib import Path
from statistics import median

from onward.costs.step_benchmark import StepBenchmark, interleave, shapes_like, variants
from onward.recipes import ROWS, Recipe
from onward.training.compiling import compile_bodies
from report import Order, begin, finish
from subjects import subject


def main() -> None:
    order, rows = begin(__doc__ or "", steps=5), []
    for name in ("tiny_cnn", "resnet17", "vgg8"):
        recipe = subject(name, batch_size=128, precision="bf16", quick=order.quick)
        rows += [_row(_without_dropout(recipe), order)] if recipe else []
    if not order.quick:
        rows.append(_row(ROWS["predsim-cifar10-cross_entropy-cpu"], order))
    finish("compiled", order, "step time with compiled bodies / as it is", rows)


def _without_dropout(recipe: Recipe) -> Recipe:
    """Bodies with dropout are not compiled."""
    return replace(recipe, net=replace(recipe.net, dropout=0.0))  # pyright: ignore[reportCallIssue, reportArgumentType]


def _row(recipe: Recipe, order: Order) -> dict[str, object]:
    data = shapes_like(recipe, Path("no-data-needed"))
    own = variants(recipe)[0]
    plain, compiled = (StepBenchmark(own, recipe, data, order.device) for _ in range(2))
    compile_bodies(compiled.learner)
    first = compiled.seconds()
    seconds = [median(times) for times in interleave([plain.seconds, compiled.seconds], order.steps)]
    return {
        "net": recipe.name,
        "batch": recipe.batch_size,
        "precision": recipe.trainer.precision,
        "blocks": len(plain.learner.blocks),
        "plain_s": seconds[0],
        "compiled_s": seconds[1],
        "ratio": seconds[1] / seconds[0],
        "first_step_s": first,
    }


if __name__ == "__main__":
    main()
