"""The cost of a step of a recipe and of backpropagation through the same network: operations, time and memory."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch

from onward.algorithms import Algorithm, Backprop
from onward.core import CapturedTrainer, LocalTrainer, TrainerSettings, gradients_on
from onward.costs.process import fresh_process
from onward.costs.spikes import Spikes, spike_costs, summary
from onward.costs.step import MeasuredSteps, PhaseSeconds, StepCost, StepEnergy, StepMemory, StepOperations
from onward.data import NAMED_SETS, Batch, Splits, TrainLoader, from_arrays, load, local_folder
from onward.measure import (
    EnergyMeter,
    MemoryMeter,
    PeakRate,
    Phases,
    clock,
    energy_meter,
    idle_power,
    measured_energy,
    memory_floor,
    peak_rate,
    step_flops,
    step_operations,
)
from onward.recipes import Recipe
from onward.runs.environment import environment
from onward.runs.model import prepared, spec_for
from onward.training.cascade import stored_per_image
from onward.training.evaluation import Watch, unwatched
from onward.training.loop import per_second, stepper


@dataclass(frozen=True)
class Variant:
    """One way to train the network of a recipe."""

    name: str
    algorithm: Algorithm
    trainer: TrainerSettings


def variants(recipe: Recipe, *, micro_batches: int = 4) -> list[Variant]:
    """Return the recipe itself, then backpropagation: plain, with recomputing, and with accumulated micro-batches.

    Batch, precision and optimizer are the recipe's in all of them.
    """
    of = recipe.algorithm
    control, plain = of if isinstance(of, Backprop) else Backprop(of=of), recipe.trainer
    plain = replace(plain, micro_batches=1, recompute=False, order="joint", cache_activations=False)
    own = [] if control is of else [Variant(type(of).__name__, of, recipe.trainer)]
    return [
        *own,
        Variant("backprop", control, plain),
        Variant("backprop, recompute", control, replace(plain, recompute=True)),
        Variant(f"backprop, {micro_batches} micro-batches", control, replace(plain, micro_batches=micro_batches)),
    ]


class MeasuredVariant(NamedTuple):
    """A variant with the recipe whose network, batch and seed it takes, and the data."""

    variant: Variant
    recipe: Recipe
    data: Splits


class StepBenchmark:
    """A trainer and its batches, ready to take steps; plain ones on a CPU, as no meter can look into a program."""

    def __init__(self, name: str, trainer: LocalTrainer, batches: Iterator[Batch], batch_size: int):
        self.name, self.trainer, self.batches, self.batch_size = name, trainer, batches, batch_size
        self.learner = trainer.learner
        device = self.learner.device
        self.stepper = stepper(trainer) if device.type == "cuda" else trainer
        self.read = clock(device)
        self.taken = 0
        self.turns = range(len(self.learner.turns))

    @classmethod
    def of(cls, variant: Variant, recipe: Recipe, data: Splits, device: torch.device) -> "StepBenchmark":
        """Build the network of a recipe, to be trained as a variant says."""
        own = replace(recipe, algorithm=variant.algorithm, trainer=variant.trainer)
        trainer = LocalTrainer(prepared(own, data, device), own.trainer, seed=recipe.seed)
        return cls(variant.name, trainer, _batches(recipe, data, device), recipe.batch_size)

    def step(self) -> None:
        self._take(next(self.batches))

    def _take(self, batch: Batch) -> None:
        self.stepper.step(*batch, step=self.taken)
        self.taken += 1

    def warm_up(self) -> None:
        """Take the steps before a captured step is a replay; none where steps are not captured."""
        if isinstance(self.stepper, CapturedTrainer):
            for _ in range(5 * len(self.turns)):
                self.step()

    def seconds(self) -> float:
        """Time one step, from requesting the batch until the device is done; if spans take turns, the mean."""
        before = self.read()
        for _ in self.turns:
            self.step()
        return (self.read() - before) / len(self.turns)

    def memory(self) -> StepMemory:
        """Take a step of each turn under the memory meter; return the memory of the largest."""
        while self.taken < len(self.turns):
            self.step()  # all optimizer state exists from now on
        return max((self._metered() for _ in self.turns), key=lambda memory: memory.peak)

    def _metered(self) -> StepMemory:
        batch = next(self.batches)
        with MemoryMeter(self.trainer, batch) as meter:
            self._take(batch)
        largest = [held for held in meter.largest if held.category not in ("parameters", "optimizer")]
        floor = memory_floor(self.trainer, *batch).total
        return StepMemory(meter.peak, meter.by_category, tuple(largest[:10]), floor)

    def flops(self) -> StepOperations:
        """Count the operations of one step."""
        flops = step_flops(self.trainer, *next(self.batches))
        blocks = [flops.of_block(k) for k in range(len(self.learner.blocks))]
        return StepOperations(flops.total, flops.ideal, tuple(blocks))

    def energy(self, meter: EnergyMeter | None, idle_watts: float, steps: int) -> StepEnergy:
        """Count the operations and bytes of one step, in joules; measure the energy too if there is a meter."""
        operations, measured = step_operations(self.trainer, *next(self.batches)), None
        if meter is not None:
            measured = measured_energy(lambda: [self.step() for _ in range(steps)], meter, idle_watts=idle_watts)
            measured = measured._replace(joules=measured.joules / steps)
        return StepEnergy(
            macs=operations.macs,
            bytes_moved=operations.bytes_moved,
            compute_joules=operations.compute_joules,
            memory_joules=operations.memory_joules,
            joules=operations.joules,
            measured=measured,
        )

    def spikes(self) -> Spikes | None:
        """Return the cost of a prediction of a spiking network after these few steps; None for other networks."""
        images, _ = next(self.batches)
        self.learner.eval()
        costs = spike_costs(self.learner, images)
        self.learner.train()
        return summary(costs)

    def phases(self, steps: int) -> tuple[PhaseSeconds, ...]:
        """Return the median seconds of each phase of each block; if spans take turns, in the mean step."""
        with Phases(self.trainer, self.read) as phases:
            shares = [phases.of(lambda: [self.step() for _ in self.turns]) for _ in range(steps)]
        phases_of_blocks = dict.fromkeys(key for share in shares for key in share)
        seconds = {key: median(share.get(key, 0.0) for share in shares) / len(self.turns) for key in phases_of_blocks}
        return tuple(PhaseSeconds(block, phase, value) for (block, phase), value in seconds.items())


@gradients_on()
def measure(
    recipe: Recipe,
    device: torch.device,
    *,
    data_dir: Path | None = None,
    steps: int = 5,
    micro_batches: int = 4,
    say: Callable[[str], None] = lambda _: None,
    watch: Watch = unwatched,
) -> MeasuredSteps:
    """Measure a step of a recipe beside its controls: bytes, seconds and operations.

    The timed steps of all variants alternate, so that other load on the machine slows all of them equally. Random
    images replace data that are not on this machine. `say` is called with a line about the next measurement, `watch` as
    in `interleave`. Raises ValueError for an impossible recipe.
    """
    data = shapes_like(recipe, data_dir)
    recipe = fitting(recipe, data)
    measured = [MeasuredVariant(variant, recipe, data) for variant in variants(recipe, micro_batches=micro_batches)]
    say(f"measuring a step of {', '.join(each.variant.name for each in measured)}")
    watch("measuring the rate of large products", 0, 1)
    rate = peak_rate(device, recipe.trainer.arithmetic)
    rows = side_by_side(measured, device, rate, steps=steps, watch=watch)
    beside = []
    for k, (row, each) in enumerate(zip(rows, measured, strict=True)):
        watch("measuring processes of their own", k, len(rows))
        spec = spec_for(each.variant.algorithm, recipe.net, data, recipe.class_weights)
        alone = fresh_process(spec, each.variant.trainer, rows=recipe.batch_size, device=device)
        beside.append(replace(row, process=alone))
    watch("measuring processes of their own", len(rows), len(rows))
    return MeasuredSteps(
        recipe=recipe.name,
        batch_size=recipe.batch_size,
        precision=recipe.trainer.precision,
        data=data.name,
        environment=environment(device),
        peak_rate=rate,
        contenders=tuple(beside),
        stored_per_image=_stored_per_image(recipe, data, device) if recipe.trainer.cache_activations else None,
    )


def _stored_per_image(recipe: Recipe, data: Splits, device: torch.device) -> float:
    """Count on a batch what the training of a recipe with `cache_activations` stores."""
    few = data.train.subset(torch.arange(recipe.batch_size))
    return stored_per_image(prepared(recipe, data, device), recipe.trainer, few)


def fitting(recipe: Recipe, data: Splits) -> Recipe:
    """Return a recipe with a batch that the data can fill, as the loader does."""
    return replace(recipe, batch_size=min(recipe.batch_size, len(data.train)))


def side_by_side(
    measured: Sequence[MeasuredVariant],
    device: torch.device,
    rate: PeakRate,
    *,
    steps: int,
    watch: Watch = unwatched,
) -> list[StepCost]:
    """Return the cost of a step of every variant; timed steps alternate. `watch` is called as in `interleave`."""
    benchmarks = [StepBenchmark.of(*each, device) for each in measured]
    counted: list[tuple[StepOperations, StepMemory]] = []
    for k, benchmark in enumerate(benchmarks):
        watch("counting operations and memory", k, len(benchmarks))
        counted.append((benchmark.flops(), benchmark.memory()))
    timed = interleave([benchmark.seconds for benchmark in benchmarks], steps, partial(watch, "timing steps"))
    meter = energy_meter(device)
    idle = 0.0 if meter is None else idle_power(meter)
    rows: list[StepCost] = []
    for benchmark, (operations, memory), seconds in zip(benchmarks, counted, timed, strict=True):
        watch("timing phases and counting energy", len(rows), len(benchmarks))
        rows.append(
            StepCost(
                name=benchmark.name,
                flops=operations,
                memory=memory,
                step_seconds=median(seconds),
                steps=tuple(seconds),
                images_per_second=per_second(benchmark.batch_size, median(seconds)),
                fraction_of_peak=per_second(operations.total, median(seconds)) / rate.best,
                phases=benchmark.phases(min(steps, 3)),
                energy=benchmark.energy(meter, idle, steps),
                spikes=benchmark.spikes(),
            )
        )
    watch("timing phases and counting energy", len(rows), len(rows))
    return rows


def interleave(
    timed: Sequence[Callable[[], float]], steps: int, report: Callable[[int, int], None] = lambda done, rounds: None
) -> list[list[float]]:
    """Call the timers in turn, A B A B ..., and return `steps` values of each; a first round is not counted.

    `report` is called with (rounds done, all rounds) before each round and at the end.
    """
    rounds: list[list[float]] = []
    for k in range(steps + 1):
        report(k, steps + 1)
        rounds.append([seconds() for seconds in timed])
    report(steps + 1, steps + 1)
    return [list(times) for times in zip(*rounds[1:], strict=True)]


def shapes_like(recipe: Recipe, data_dir: Path | None) -> Splits:
    """Return a recipe's data if they are on this machine; random images of their shape and classes otherwise."""
    named = next((known for known in NAMED_SETS if known.name == recipe.data.name), None)
    if named is not None and local_folder(named, data_dir) is None:
        return random_like(recipe)
    return load(recipe.data, data_dir=data_dir)


def random_like(recipe: Recipe) -> Splits:
    """Return random images of the shape and classes of a recipe's named set; data that are no named set as they are."""
    settings = recipe.data
    named = next((known for known in NAMED_SETS if known.name == settings.name), None)
    if named is None:
        return load(settings)
    side, number = settings.size or named.default_size, max(4 * recipe.batch_size, 10 * named.num_classes)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (number, named.channels, side, side), dtype=torch.uint8, generator=generator)
    return from_arrays(pixels, torch.arange(number) % named.num_classes, name=f"random {tuple(pixels.shape[1:])}")


def _batches(recipe: Recipe, data: Splits, device: torch.device) -> Iterator[Batch]:
    loader = TrainLoader(
        data.train,
        batch_size=recipe.batch_size,
        device=device,
        augmentation=recipe.data.augmentation,
        seed=recipe.seed,
    )
    for epoch in count():
        yield from loader.epoch(epoch)
