"""Classes that come two at a time: accuracy after each task, forgetting and bytes of state, local beside backprop.

Ten classes are learned in five tasks of two, in an order drawn from the seed; earlier images are seen again only from
a memory of few, the same for every method. Learning is `OnlineLearning`; of a batch half is new, half from the memory.
Rates are chosen for each method, data set and memory on validation images, with a seed that no row has. "page" is the
script of an exported page, in Node: a lesson for each image that it gets wrong, at the page's own rate.
"""
# N new images, M images of the memory, T tasks

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from statistics import mean, stdev
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from onward import load_data
from onward.algorithms import Algorithm, Backprop, DistanceForward, MonoForward, PredSim
from onward.core import Learner, TrainerSettings
from onward.data import DataSettings, Samples, Splits, title_of
from onward.nets import MLP
from onward.runs import spec_for
from onward.training import OnlineLearning
from page_in_node import PageInNode
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
    methods: tuple[Algorithm, ...] = METHODS
    page: Algorithm | None = None
    """The algorithm of a page that takes the course as well."""

    @property
    def names(self) -> dict[str, Algorithm]:
        """The methods by their names in the table."""
        methods = {type(algorithm).__name__: algorithm for algorithm in self.methods}
        return methods | ({f"{type(self.page).__name__}, page": self.page} if self.page else {})


COURSES = (
    Course("digits", MLP(width=64, depth=3), 5, 16, 0, (0, 1, 2), page=MonoForward()),
    Course("digits", MLP(width=64, depth=3), 5, 16, 100, (0, 1, 2), page=MonoForward()),
    Course("fashion_mnist", MLP(width=128, depth=3), 1, 32, 500, (0,), each=1000),
    # Small enough for a page: 300 kB of weights and images.
    Course(
        "fashion_mnist", MLP(width=32, depth=3), 1, 32, 70, (0, 1, 2), 1000, (MonoForward(), Backprop()), MonoForward()
    ),
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
        for name, algorithm in list(course.names.items())[-2 if order.quick else 0 :]:
            if (course.data, course.memory, name) in {_key(row) for row in rows}:
                continue  # a stop loses one
            paged = name.endswith(", page")
            rates = RATES[1:2] if order.quick else RATES
            rows.append(page_row(algorithm, course, splits) if paged else row(algorithm, course, splits, rates))
            rows.sort(key=_place)
            finish("continual", order, (__doc__ or "").splitlines()[0], rows, unprinted=("by_task",))


def _key(row: dict[str, Any]) -> tuple[str, int, str]:
    return row["data"], row["memory_images"], row["method"]


def _place(row: dict[str, Any]) -> tuple[int, int]:
    """Return where a row stands in the table: by course, then by method."""
    key = _key(row)
    k = next(k for k, course in enumerate(COURSES) if (course.data, course.memory) == key[:2])
    return k, list(COURSES[k].names).index(key[2])


def row(algorithm: Algorithm, course: Course, splits: Splits, rates: tuple[float, ...]) -> dict[str, object]:
    """Choose the rate of a method on validation images, then learn with every seed and test."""
    tried = {rate: run(algorithm, course, splits, splits.validation, rate, TUNING)[0] for rate in rates}
    rate = max(tried, key=lambda rate: final(tried[rate]))
    runs = [run(algorithm, course, splits, splits.test, rate, seed) for seed in course.seeds]
    scored = measured(type(algorithm).__name__, course, splits, rate, [accuracy for accuracy, _ in runs])
    return {**scored, **sizes(runs[0][1], course, splits), "by_task": by_task(accuracy for accuracy, _ in runs)}


def page_row(algorithm: Algorithm, course: Course, splits: Splits) -> dict[str, object]:
    """Teach a page with every seed and test; the rate is the page's own."""
    runs, steps, held = [], [], {}
    for seed in course.seeds:
        spec = spec_for(algorithm, course.net, splits)
        with PageInNode(spec.build(seed=seed), spec, rule="last_block", seed=seed) as learning:
            runs.append(taught(learning, course, splits, seed))
            steps, held = [*steps, learning.steps], learning.sizes()
    images = {"memory_bytes": course.memory * (math.prod(splits.shape) + 1)}
    return {
        **measured(f"{type(algorithm).__name__}, page", course, splits, None, runs),
        **{"weight_bytes": held["weights"], "optimizer_bytes": held["moments"], **images},
        "lessons": [len(each) for each in steps],
        "steps_of_a_lesson": mean(float(mean(each)) for each in steps),
        "by_task": by_task(runs),
    }


def measured(
    name: str, course: Course, splits: Splits, rate: float | None, runs: list[Float[Tensor, "T T"]]
) -> dict[str, object]:
    """Return what a row has of accuracy and of the course."""
    last = [final(accuracy) for accuracy in runs]
    return {
        "data": course.data,
        "method": name,
        "memory_images": course.memory,
        "images_of_a_class": min(course.each, int(splits.train.sample.labels.bincount().max())),
        "rate": rate,
        "seeds": len(last),
        "accuracy": mean(last),
        "deviation": stdev(last) if len(last) > 1 else None,
        "forgetting": mean(forgetting(accuracy) for accuracy in runs),
    }


def by_task(runs: Iterable[Float[Tensor, "T T"]]) -> list[list[float]]:
    """Return the mean accuracy on the tasks so far, after each of them, of every seed."""
    return [[seen(accuracy, task) for task in range(TASKS)] for accuracy in runs]


def run(
    algorithm: Algorithm, course: Course, splits: Splits, asked: Samples, rate: float, seed: int
) -> tuple[Float[Tensor, "T T"], OnlineLearning]:
    """Learn task after task; return the accuracy on task j after task i, and the learner with all that it keeps."""
    spec = spec_for(algorithm, course.net, splits)
    settings = TrainerSettings(learning_rate=rate, schedule="constant")
    learning = OnlineLearning(spec.build(seed=seed), settings, seed=seed)
    tasks, accuracy = ordered(seed), torch.full((TASKS, TASKS), math.nan)
    for k in range(TASKS):
        for x, y in batches(splits.train.sample, tasks, k, course, seed):
            learning.partial_fit(x, y)
        learning.learner.eval()
        for j in range(k + 1):
            accuracy[k, j] = right(learning.learner, asked, tasks[j])
    return accuracy, learning


def taught(learning: PageInNode, course: Course, splits: Splits, seed: int) -> Float[Tensor, "T T"]:
    """Show a page the new images of task after task, with the memory of the task; return the test accuracy as `run`."""
    train, test = splits.train.sample, splits.test
    tasks, accuracy = ordered(seed), torch.full((TASKS, TASKS), math.nan)
    for k in range(TASKS):
        generator = torch.Generator().manual_seed(100 * seed + k)
        new, memory = shown(train, tasks, k, course)
        learning.keep(train.pixels[memory], train.labels[memory])
        for _ in range(course.passes):
            chosen = new[torch.randperm(len(new), generator=generator)]
            learning.teach(train.pixels[chosen], train.labels[chosen])
        for j in range(k + 1):
            chosen = torch.isin(test.labels, tasks[j])
            predicted = learning.predict(test.pixels[chosen])
            accuracy[k, j] = (predicted == test.labels[chosen]).double().mean()
    return accuracy


def ordered(seed: int) -> Int64[Tensor, "T 2"]:
    """Return the classes of each task, in the order of a seed."""
    return torch.randperm(10, generator=torch.Generator().manual_seed(seed)).view(TASKS, 2)


def shown(
    train: Samples, tasks: Int64[Tensor, "T 2"], k: int, course: Course
) -> tuple[Int64[Tensor, "N"], Int64[Tensor, "M"]]:
    """Return which images a task shows: new ones, and those kept of the classes before."""
    new = torch.cat([(train.labels == label).nonzero().flatten()[: course.each] for label in tasks[k].tolist()])
    before = tasks[:k].flatten()
    each = course.memory // max(1, len(before))
    kept = [(train.labels == label).nonzero().flatten()[:each] for label in before.tolist()] if each else []
    return new, torch.cat(kept) if kept else new[:0]


def batches(
    train: Samples, tasks: Int64[Tensor, "T 2"], k: int, course: Course, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches of a task: new images, and as many kept of the classes before."""
    generator = torch.Generator().manual_seed(100 * seed + k)
    new, memory = shown(train, tasks, k, course)
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
    names = "images | kept | method | seeds | accuracy, % | forgetting, points | weights, kB | state, kB | kept, kB"
    lines = [f"| {names} |", "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for row in rows:
        accuracy = f"{100 * row['accuracy']:.1f}"
        accuracy += "" if row["deviation"] is None else f" ± {100 * row['deviation']:.1f}"
        sizes = " | ".join(f"{row[name] / 1000:.0f}" for name in ("weight_bytes", "optimizer_bytes", "memory_bytes"))
        lines.append(
            f"| {title_of(row['data'])} | {row['memory_images']} | {row['method']} | {row['seeds']} | {accuracy} "
            f"| {100 * row['forgetting']:.1f} | {sizes} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
