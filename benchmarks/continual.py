"""Classes that come two at a time: accuracy after each task, forgetting and bytes of state, local beside backprop.

Ten classes are learned in five tasks of two, in an order drawn from the seed; earlier images are seen again only from
a memory of few, the same for every method. Learning is `OnlineLearning`; of a batch half is new, half from the memory.
Rates are chosen for each method, data set and memory on validation images, with a seed that no row has.
"""
# N images, T tasks

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import mean, stdev
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from onward import load_data
from onward.algorithms import Algorithm, Backprop, DistanceForward, MonoForward, PredSim
from onward.core import Learner, TrainerSettings
from onward.data import DataSettings, Samples, Splits
from onward.nets import MLP
from onward.runs import spec_for
from onward.training import OnlineLearning
from report import begin, finish, path_of

METHODS: tuple[Algorithm, ...] = (MonoForward(), PredSim(), DistanceForward(), Backprop())
RATES = (0.0003, 0.001, 0.003)
TASKS, TUNING = 5, 1000
"""Tasks, and the seed that rates are chosen with."""


@dataclass(frozen=True)
class Course:
    """A data set, its network, passes through each task, new images of a batch, images kept of what is over, seeds.

    `each` is how many training images of a class there are at most.
    """

    data: str
    net: MLP
    passes: int
    new: int
    memory: int
    seeds: tuple[int, ...]
    each: int = 100_000


COURSES = (
    Course("digits", MLP(width=64, depth=3), 5, 16, 0, (0, 1, 2)),
    Course("digits", MLP(width=64, depth=3), 5, 16, 100, (0, 1, 2)),
    Course("fashion_mnist", MLP(width=128, depth=3), 1, 32, 500, (0,), each=1000),
)


def main() -> None:
    order = begin(__doc__ or "")
    path = path_of("continual", order)
    rows = [] if order.quick or not path.exists() else json.loads(path.read_text())["rows"]
    for course in COURSES:
        if order.quick:
            if course.data != "digits":
                continue
            course = replace(course, passes=1, seeds=(0,))
        splits = load_data(DataSettings(name=course.data))
        for algorithm in METHODS[-2:] if order.quick else METHODS:
            if (course.data, course.memory, type(algorithm).__name__) in {_key(row) for row in rows}:
                continue  # a stop loses one
            rows.append(row(algorithm, course, splits, RATES[1:2] if order.quick else RATES))
            finish("continual", order, (__doc__ or "").splitlines()[0], rows, unprinted=("by_task",))


def _key(row: dict[str, Any]) -> tuple[str, int, str]:
    return row["data"], row["memory_images"], row["method"]


def row(algorithm: Algorithm, course: Course, splits: Splits, rates: tuple[float, ...]) -> dict[str, object]:
    """Choose the rate of a method on validation images, then learn with every seed and test."""
    tried = {rate: run(algorithm, course, splits, splits.validation, rate, TUNING)[0] for rate in rates}
    rate = max(tried, key=lambda rate: final(tried[rate]))
    runs = [run(algorithm, course, splits, splits.test, rate, seed) for seed in course.seeds]
    last = [final(accuracy) for accuracy, _ in runs]
    learning = runs[0][1]
    return {
        "data": course.data,
        "method": type(algorithm).__name__,
        "memory_images": course.memory,
        "images_of_a_class": min(course.each, int(splits.train.sample.labels.bincount().max())),
        "rate": rate,
        "seeds": len(last),
        "accuracy": mean(last),
        "deviation": stdev(last) if len(last) > 1 else None,
        "forgetting": mean(forgetting(accuracy) for accuracy, _ in runs),
        **sizes(learning, course, splits),
        "by_task": [[seen(accuracy, task) for task in range(TASKS)] for accuracy, _ in runs],
    }


def run(
    algorithm: Algorithm, course: Course, splits: Splits, asked: Samples, rate: float, seed: int
) -> tuple[Float[Tensor, "T T"], OnlineLearning]:
    """Learn task after task; return the accuracy on task j after task i, and the learner with all that it keeps."""
    spec = spec_for(algorithm, course.net, splits)
    settings = TrainerSettings(learning_rate=rate, schedule="constant")
    learning = OnlineLearning(spec.build(seed=seed), settings, seed=seed)
    tasks = torch.randperm(10, generator=torch.Generator().manual_seed(seed)).view(TASKS, 2)
    accuracy = torch.full((TASKS, TASKS), math.nan)
    for k in range(TASKS):
        for x, y in batches(splits.train.sample, tasks, k, course, seed):
            learning.partial_fit(x, y)
        learning.learner.eval()
        for j in range(k + 1):
            accuracy[k, j] = right(learning.learner, asked, tasks[j])
    return accuracy, learning


def batches(
    train: Samples, tasks: Int64[Tensor, "T 2"], k: int, course: Course, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches of a task: new images, and as many kept of the classes before."""
    generator = torch.Generator().manual_seed(100 * seed + k)
    new = torch.cat([(train.labels == label).nonzero().flatten()[: course.each] for label in tasks[k].tolist()])
    before = tasks[:k].flatten()
    each = course.memory // max(1, len(before))
    kept = [(train.labels == label).nonzero().flatten()[:each] for label in before.tolist()] if each else []
    memory = torch.cat(kept) if kept else new[:0]
    for _ in range(course.passes):
        for part in new[torch.randperm(len(new), generator=generator)].split(course.new):
            again = memory[torch.randint(len(memory), (course.new,), generator=generator)] if len(memory) else memory
            chosen = torch.cat([part, again])
            yield train.pixels[chosen], train.labels[chosen]


def right(learner: Learner, asked: Samples, classes: Int64[Tensor, "2"]) -> float:
    """Return the share of the images of some classes that are told right among all ten, by the last block."""
    chosen = torch.isin(asked.labels, classes)
    rule = "last_block" if "last_block" in learner.rules else None
    predicted = learner.predict(asked.pixels[chosen], rule=rule)
    return float((predicted == asked.labels[chosen]).double().mean())


def seen(accuracy: Float[Tensor, "T T"], task: int) -> float:
    """Return the mean accuracy on the tasks up to one, after it."""
    return float(accuracy[task, : task + 1].mean())


def final(accuracy: Float[Tensor, "T T"]) -> float:
    """Return the mean accuracy on all tasks at the end."""
    return seen(accuracy, len(accuracy) - 1)


def forgetting(accuracy: Float[Tensor, "T T"]) -> float:
    """Return how far the earlier tasks have fallen from their best, at the end, on average."""
    last = len(accuracy) - 1
    return float(mean(float(accuracy[j:last, j].max() - accuracy[last, j]) for j in range(last)))


def sizes(learning: OnlineLearning, course: Course, splits: Splits) -> dict[str, int]:
    """Return the bytes of weights with all read-outs, of the optimizers' state, and of the images that are kept."""
    weights = sum(p.nbytes for p in learning.learner.state_dict().values())
    state = sum(v.nbytes for optimizer in learning.trainer.optimizers for v in optimizer.state().values())
    return {
        "weight_bytes": weights,
        "optimizer_bytes": state,
        "memory_bytes": course.memory * (math.prod(splits.shape) + 1),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Return the table of the documentation."""
    names = "data set | images kept | method | seeds | accuracy, % | forgetting, points | weights | state | images"
    lines = [f"| {names} |", "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for row in rows:
        accuracy = f"{100 * row['accuracy']:.1f}"
        accuracy += "" if row["deviation"] is None else f" ± {100 * row['deviation']:.1f}"
        sizes = " | ".join(f"{row[name]:,}" for name in ("weight_bytes", "optimizer_bytes", "memory_bytes"))
        lines.append(
            f"| {row['data']} | {row['memory_images']} | {row['method']} | {row['seeds']} | {accuracy} "
            f"| {100 * row['forgetting']:.1f} | {sizes} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
