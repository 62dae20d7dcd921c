"""Peak memory against time of a step, of local learning and of backprop, with micro-batches and recomputing."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median

import torch

from onward.core import TrainerSettings, gradients_on
from onward.costs.step_benchmark import StepBenchmark, fitting, interleave, shapes_like, variants
from onward.recipes import Recipe
from onward.runs.environment import Machine, environment
from onward.training.evaluation import Watch, unwatched
from onward.training.process import is_out_of_memory

PIECES = (1, 2, 4, 8)
"""Micro-batches of a curve's points."""


@dataclass(frozen=True)
class CurvePoint:
    """One way to take a step: bytes of tensors at its peak, and the median of its seconds.

    `step_together`: a micro-batch goes through all spans before the next one, and all gradients are held until then.
    """

    micro_batches: int
    recompute: bool
    peak: int
    seconds: float
    step_together: bool = False

    def __str__(self) -> str:
        pieces = "whole batch" if self.micro_batches == 1 else f"{self.micro_batches} micro-batches"
        order = " through all spans" if self.step_together else ""
        return pieces + order + (", recomputing" if self.recompute else "")


@dataclass(frozen=True)
class MemoryCurve:
    """The points of a method and of backprop on the same network, timed alternately on one machine."""

    recipe: str
    method: str
    batch_size: int
    precision: str
    data: str
    environment: Machine
    own: tuple[CurvePoint, ...]
    backprop: tuple[CurvePoint, ...]

    @property
    def better_by_backprop(self) -> tuple[CurvePoint, ...]:
        """Points of backprop that no point of the method equals or beats in both memory and time."""
        return tuple(p for p in self.backprop if not any(q.peak <= p.peak and q.seconds <= p.seconds for q in self.own))

    def memory_at_time_of(self, point: CurvePoint) -> float | None:
        """Return the least memory of the method in at most a point's time, over that point's; None: it takes longer."""
        peaks = [own.peak for own in self.own if own.seconds <= point.seconds]
        return min(peaks) / point.peak if peaks else None

    def time_at_memory_of(self, point: CurvePoint) -> float | None:
        """Return the least time of the method in at most a point's memory, over that point's; None: it needs more."""
        seconds = [own.seconds for own in self.own if own.peak <= point.peak]
        return min(seconds) / point.seconds if seconds else None


@gradients_on()
def memory_curve(
    recipe: Recipe,
    device: torch.device,
    *,
    data_dir: Path | None = None,
    steps: int = 5,
    watch: Watch = unwatched,
    read: Callable[[], float] | None = None,
) -> MemoryCurve:
    """Measure the step of a recipe and of backprop with 1, 2, 4 and 8 micro-batches, without and with recomputing.

    A method whose spans share no block is also measured with `step_together`, where a micro-batch goes through all
    spans before the next one.

    Left out are recomputing if each span has one block, pieces of one image, and settings for which the device has too
    little memory. The timed steps of all settings alternate; `read` returns the seconds of a clock, by default that of
    the device. Raises ValueError for a recipe that is backprop itself, for an impossible one, and if no step of the
    method or of backprop fits into the device's memory.
    """
    own, *controls = variants(recipe)
    if own.name == "backprop":
        raise ValueError(f"{recipe.name} is trained by backprop: measure the curve of a recipe with a local method")
    data = shapes_like(recipe, data_dir)
    recipe = fitting(recipe, data)
    sides = [StepBenchmark.of(variant, recipe, data, device) for variant in (own, controls[0])]
    return curve_of(*sides, recipe=recipe.name, data=data.name, steps=steps, watch=watch, read=read)


@gradients_on()
def curve_of(
    own: StepBenchmark,
    control: StepBenchmark,
    *,
    recipe: str,
    data: str,
    steps: int = 5,
    watch: Watch = unwatched,
    read: Callable[[], float] | None = None,
) -> MemoryCurve:
    """Measure a trainer beside one that trains the same network by backprop, as `memory_curve` does.

    `recipe` and `data` are the names of what is trained. Raises ValueError if no step of one of them fits into the
    device's memory.
    """
    sides = (own, control)
    if read is not None:
        for side in sides:
            side.read = read
    points = _measured([(side, settings) for side in sides for settings in _ways(side)], steps, watch)
    for side in sides:
        if not points[side.name]:
            raise ValueError(f"no step of {side.name} fits into the device's memory; choose a smaller --batch-size")
    return MemoryCurve(
        recipe=recipe,
        method=own.name,
        batch_size=own.batch_size,
        precision=own.trainer.settings.precision,
        data=data,
        environment=environment(own.learner.device),
        own=tuple(points[own.name]),
        backprop=tuple(points[control.name]),
    )


def _measured(
    every: Sequence[tuple[StepBenchmark, TrainerSettings]], steps: int, watch: Watch
) -> dict[str, list[CurvePoint]]:
    """Return the points of each side by its name."""
    fitting_ways, peaks = [], []
    for k, (side, settings) in enumerate(every):
        watch("measuring memory", k, len(every))
        peak = _peak(side, settings)
        if peak is not None:
            fitting_ways.append((side, settings))
            peaks.append(peak)
    timed = interleave([partial(_seconds, *way) for way in fitting_ways], steps, partial(watch, "timing steps"))
    points: dict[str, list[CurvePoint]] = {side.name: [] for side, _ in every}
    for (side, settings), peak, seconds in zip(fitting_ways, peaks, timed, strict=True):
        way = (settings.micro_batches, settings.recompute, peak, median(seconds), settings.step_together)
        points[side.name].append(CurvePoint(*way))
    return points


def front(points: Sequence[CurvePoint]) -> list[CurvePoint]:
    """Return the points that no other point beats in both memory and time, the fastest first."""
    kept: list[CurvePoint] = []
    for point in sorted(points, key=lambda point: (point.seconds, point.peak)):
        if not kept or point.peak < kept[-1].peak:
            kept.append(point)
    return kept


def _ways(side: StepBenchmark) -> Iterator[TrainerSettings]:
    """List a side's settings, which differ in pieces, their order and recomputing alone."""
    turns = side.learner.turns
    deep = any(span.last > span.first for turn in turns for span in turn)
    several = all(len(turn) > 1 and all(a.last < b.first for a, b in pairwise(turn)) for turn in turns)
    for recompute in (False, True) if deep else (False,):
        for together in (False, True) if several else (False,):
            for count in PIECES:
                if (count == 1 and not together) or 1 < count <= side.batch_size // 2:
                    own = side.trainer.settings
                    yield replace(own, micro_batches=count, recompute=recompute, step_together=together)


def _seconds(side: StepBenchmark, settings: TrainerSettings) -> float:
    side.trainer.settings = settings
    return side.seconds()


def _peak(side: StepBenchmark, settings: TrainerSettings) -> int | None:
    """Return the peak of a side's step with these settings, None if the device has too little memory."""
    side.trainer.settings = settings
    try:
        return side.memory().peak
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    side.learner.zero_grad()  # the memory of the step is free once the error is gone
    if side.learner.device.type == "cuda":
        torch.cuda.empty_cache()
    return None
