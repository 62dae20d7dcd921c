"""Training within a limit of memory: the settings that fit, found by measuring a step of each."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median

import torch

from onward.core import Learner, LocalTrainer, TrainerSettings
from onward.costs.step_benchmark import interleave
from onward.data import Batch, Splits, as_floats
from onward.measure import MemoryMeter, clock, memory_floor
from onward.recipes import Recipe
from onward.runs.model import prepared
from onward.training.process import is_out_of_memory

_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_MOST = 2.0**63  # bytes
_TIMED = 2  # settings timed with and without recomputing: further pieces are hardly ever faster
_STEPS = 3  # timed steps of each
_CLEARLY = 0.95  # share of the time: a smaller gain is not worth more pieces


@dataclass(frozen=True)
class Fitting:
    """Settings whose step stays within a limit, and the bytes that it needs at its peak."""

    settings: TrainerSettings
    peak: int

    def __str__(self) -> str:
        pieces, again = self.settings.micro_batches, ", recomputing" if self.settings.recompute else ""
        return (
            f"{pieces} micro-batch{'es' if pieces > 1 else ''}{again}: {self.peak / 1e6:,.1f} MB at the peak of a step"
        )


def parse_bytes(text: str) -> int:
    """Read a size such as 500MB or 1.5GiB. Raises ValueError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", text.strip())
    if match is None or match[2].upper() not in _UNITS:
        raise ValueError(f"{text!r} is not a size in bytes; write a number and B, KB, MB, GB, KiB, MiB or GiB: 500MB")
    size = float(match[1]) * _UNITS[match[2].upper()]
    if size > _MOST:
        raise ValueError(f"{text!r} is more than any machine has; write a size such as 500MB")
    return round(size)


def ways(recipe: Recipe, learner: Learner) -> list[TrainerSettings]:
    """List the settings to try, the recipe's first: ever more pieces, then recomputing if it helps."""
    given = recipe.trainer
    pieces = [given.micro_batches]
    while 2 * pieces[-1] <= recipe.batch_size:
        pieces.append(2 * pieces[-1])
    deep = any(span.last > span.first for span in learner.spans)
    again = [given.recompute, True] if deep and not given.recompute else [given.recompute]
    return [replace(given, micro_batches=count, recompute=recompute) for recompute in again for count in pieces]


def fit_memory(recipe: Recipe, data: Splits, limit: int, device: torch.device) -> Fitting:
    """Return the fastest settings whose step holds at most `limit` bytes of tensors; the recipe's own if they fit.

    Else two, four, eight, ... times as many micro-batches are measured, with recomputing too if a span has several
    blocks. With and without it, the two settings with the fewest pieces that fit are timed alternately; a gain below 5
    % does not count. The memory of libraries and of the data set comes on top of the limit. The order `cascade` would
    save nothing: weights and optimizer state of all blocks exist at its end too. Micro-batches change no gradient, but
    batch normalization, and losses that compare images, get smaller batches. Raises ValueError if nothing fits, and for
    captured or compiled steps.
    """
    given = recipe.trainer
    if given.compile or given.capture == "auto":
        name = "compile" if given.compile else "capture"
        raise ValueError(
            f"a memory limit is that of plain steps, and {name} {getattr(given, name)!r} holds the random numbers of a "
            f"whole step at once, besides a copy of all weights while it records: leave {name} or the limit out"
        )
    learner = prepared(recipe, data, device)
    images = data.train.subset(torch.arange(recipe.batch_size) % len(data.train))
    batch = as_floats(images.pixels.to(device)), images.labels.to(device)
    trainer = LocalTrainer(learner, replace(recipe.trainer, micro_batches=1))
    for turn in range(len(learner.turns)):
        trainer.step(batch[0][:2], batch[1][:2], step=turn)  # optimizer state exists from now on
    own, *others = ways(recipe, learner)
    tried: list[Fitting] = []
    for settings in (own, *others):
        kind = [each for each in tried if each.settings.recompute == settings.recompute and each.peak <= limit]
        if len(kind) == _TIMED:
            continue
        trainer.settings = settings
        try:
            peak = _peak(trainer, batch)
        except ValueError:
            if settings is own:
                raise
            continue  # batch normalization raises an error for a piece of one image
        if peak is None:
            continue
        tried.append(Fitting(settings, peak))
        if settings is own and peak <= limit:
            return tried[-1]
    within = [each for each in tried if each.peak <= limit]
    if not within:
        raise ValueError(_too_much(tried, limit, trainer, batch))
    return _fastest(within, trainer, batch)


def _fastest(within: Sequence[Fitting], trainer: LocalTrainer, batch: Batch) -> Fitting:
    """Return the first setting that takes about the least time."""
    if len(within) == 1:
        return within[0]
    timed = interleave([partial(_seconds, each.settings, trainer, batch) for each in within], _STEPS)
    seconds = [median(times) for times in timed]
    return next(each for each, time in zip(within, seconds, strict=True) if _CLEARLY * time <= min(seconds))


def _seconds(settings: TrainerSettings, trainer: LocalTrainer, batch: Batch) -> float:
    """Time a step of every turn."""
    trainer.settings = settings
    read = clock(trainer.learner.device)
    before = read()
    for turn in range(len(trainer.learner.turns)):
        trainer.step(*batch, step=turn)
    return read() - before


def _too_much(tried: list[Fitting], limit: int, trainer: LocalTrainer, batch: Batch) -> str:
    best = min(tried, key=lambda fitting: fitting.peak, default=None)
    outcome = "every way runs out of the device's memory" if best is None else f"the leanest way found is {best}"
    try:
        floor = memory_floor(trainer, *batch)
        least = (
            f". Weights and optimizer state take {(floor.parameters + floor.optimizer) / 1e6:,.1f} MB, the largest "
            f"block at least {floor.block / 1e6:,.1f} MB for a whole batch"
        )
    except (RuntimeError, MemoryError) as error:  # not even one block can take a whole batch
        if not is_out_of_memory(error):
            raise
        least = ""
    return (
        f"a training step does not fit into {limit / 1e6:,.1f} MB: {outcome}{least}; choose a smaller --batch-size or "
        "network"
    )


def _peak(trainer: LocalTrainer, batch: Batch) -> int | None:
    """Train a step of every turn; return the peak bytes, None if the device has too little memory."""
    try:
        with MemoryMeter(trainer, batch) as meter:
            for turn in range(len(trainer.learner.turns)):
                trainer.step(*batch, step=turn)
        return meter.peak
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    # the memory of the step is free once the error is gone
    trainer.learner.zero_grad()
    if trainer.learner.device.type == "cuda":
        torch.cuda.empty_cache()
    return None
