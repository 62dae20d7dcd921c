"""Images per second beside plain PyTorch loops of the same method: DeeperForward, CaFo and Forward-Forward.

`plain`: a careful loop. `released`: the order of public code, see `plain_methods.py`. On a CPU times are the process's
own on one thread, so that neighbors do not count.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any, Literal

import torch
from torch import Tensor

from onward.costs.step_benchmark import StepBenchmark, interleave, random_like, variants
from onward.data import Splits, from_arrays
from onward.nets import MLP, CaFoCNN, TinyCNN
from onward.recipes import Recipe
from onward.recipes.lookup import find_recipe
from onward.runs.model import prepared
from onward.training import StepDone, Training
from plain_methods import (
    PlainCaFo,
    PlainDeeperForward,
    PlainForwardForward,
    ReleasedCaFo,
    ReleasedForwardForward,
)
from report import Order, begin, finish, on_one_thread
from subjects import subject

_EPOCHS = 8  # of CaFo
Precision = Literal["fp32", "bf16"]
_PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")

Row = dict[str, Any]
Step = Callable[[Tensor, Tensor], None]


def main() -> None:
    order = begin(__doc__ or "")
    finish("plain_loop", order, "images per second / those of plain PyTorch loops of the same method", _rows(order))


def _rows(order: Order) -> Iterator[Row]:
    for batch_size in (128, 512) if order.device.type == "cuda" else (128,):
        yield from _deeper_forward(batch_size, order)
    if order.device.type == "cpu":
        yield from _forward_forward(order)
        yield from _cafo(order)


def _deeper_forward(batch_size: int, order: Order) -> list[Row]:
    recipes = [subject("tiny_cnn", batch_size=batch_size, precision=p, quick=order.quick) for p in _PRECISIONS]
    own = [recipe for recipe in recipes if recipe is not None]
    assert isinstance(own[0].net, TinyCNN)
    loop = PlainDeeperForward(own[0].net.width, 10, order.device)
    return _by_step("DeeperForward", own, {"plain": loop.step}, order)


def _forward_forward(order: Order) -> list[Row]:
    recipe = find_recipe("forward_forward-fashion_mnist")
    net = MLP(width=20) if order.quick else recipe.net
    assert isinstance(net, MLP)
    own = [_in(replace(recipe, net=net), p) for p in _PRECISIONS]
    sizes = [784, *[net.width] * net.depth]
    loops = {"plain": PlainForwardForward(sizes, 10).step, "released": ReleasedForwardForward(sizes, 10).step}
    return _by_step("ForwardForward", own, loops, order)


def _by_step(method: str, recipes: Sequence[Recipe], loops: dict[str, Step], order: Order) -> list[Row]:
    """Time one step of each loop and of each recipe in turn, on the batches of the last recipe."""
    data, batch_size = random_like(recipes[0]), recipes[0].batch_size
    benchmarks = [StepBenchmark.of(variants(recipe)[0], recipe, data, order.device) for recipe in recipes]
    on_one_thread(benchmarks, order)
    last = benchmarks[-1]

    def seconds(step: Step) -> float:
        before = last.read()
        step(*next(last.batches))
        return last.read() - before

    timed = interleave(
        [*(partial(seconds, step) for step in loops.values()), *(b.seconds for b in benchmarks)], order.steps
    )
    names = [*loops, *(f"onward, {recipe.trainer.precision}" for recipe in recipes)]
    return _compared(method, batch_size, dict(zip(names, timed, strict=True)), batch_size)


def _cafo(order: Order) -> list[Row]:
    """Time whole trainings of `_EPOCHS` epochs: every predictor for all of them, one after the other."""
    torch.set_num_threads(1)
    recipe, images = find_recipe("cafo-cifar10"), 50 if order.quick else 1280
    recipe = replace(recipe, net=CaFoCNN(width=2), batch_size=8) if order.quick else recipe
    assert isinstance(recipe.net, CaFoCNN)
    width, batch_size = recipe.net.width, recipe.batch_size
    pixels = torch.randint(256, (images, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    data = from_arrays(pixels, torch.arange(images) % 10, name="random", validation_fraction=0.1, test_fraction=0.1)
    x, y = data.train.pixels.float() / 255, data.train.labels

    def plain(loop: type[PlainCaFo] | type[ReleasedCaFo]) -> float:
        before = time.process_time()
        loop(width, 10).train(x, y, epochs=_EPOCHS, batch_size=batch_size)
        return time.process_time() - before

    contenders: dict[str, Callable[[], float]] = {
        "plain": partial(plain, PlainCaFo),
        "released": partial(plain, ReleasedCaFo),
    }
    contenders["onward, fp32, every epoch"] = partial(_training_seconds, _in(recipe, "fp32"), data)
    cached = replace(recipe, trainer=replace(recipe.trainer, order="cascade", cache_activations=True))
    for precision in _PRECISIONS:
        contenders[f"onward, {precision}, computed once"] = partial(_training_seconds, _in(cached, precision), data)
    timed = interleave(list(contenders.values()), min(order.steps, 3))
    return _compared("CaFo", _EPOCHS * len(y), dict(zip(contenders, timed, strict=True)), batch_size)


def _training_seconds(recipe: Recipe, data: Splits) -> float:
    """Train and return the time of the steps, with what is computed once, without validation."""
    learner = prepared(recipe, data, torch.device("cpu"))
    events, seconds = iter(Training(learner, data, recipe.trainer, epochs=_EPOCHS, batch_size=recipe.batch_size)), 0.0
    while True:
        before = time.process_time()
        event = next(events, None)
        if event is None:
            return seconds
        if isinstance(event, StepDone):
            seconds += time.process_time() - before


def _compared(method: str, images: int, timed: dict[str, list[float]], batch_size: int) -> list[Row]:
    rates = {name: images / median(times) for name, times in timed.items()}
    return [
        {
            "method": method,
            "contender": name,
            "batch": batch_size,
            "images_per_s": rate,
            "of_plain": rate / rates["plain"],
            "of_released": rate / rates["released"] if "released" in rates else None,
        }
        for name, rate in rates.items()
    ]


def _in(recipe: Recipe, precision: Precision) -> Recipe:
    return replace(recipe, trainer=replace(recipe.trainer, precision=precision))


if __name__ == "__main__":
    main()
