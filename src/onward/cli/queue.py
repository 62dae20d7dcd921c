"""The command `onward queue`: trains those of a list of recipes and seeds that have no record."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated

import tyro

from onward.cli.arguments import parse
from onward.cli.recording import RESULTS
from onward.data import DataSettings, load
from onward.recipes import Recipe
from onward.recipes.lookup import find_recipe
from onward.runs.environment import choose_device, environment
from onward.runs.queue import Queue, expected_seconds, is_recorded, read_plan, train_command
from onward.runs.records import read_records
from onward.screen import say


@dataclass(frozen=True)
class QueueArguments:
    plan: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """A recipe and its seeds per line, by priority: `asge-mnist-cpu 0-4`; a # begins a comment."""
    data_dir: Path | None = None
    """Folder with one parquet folder per named data set; otherwise $ONWARD_DATA, otherwise the hub."""
    runs_dir: Path = Path("runs")
    """Where run folders are made, and looked for."""
    device: str = "auto"
    """cpu, cuda, cuda:1, or auto."""
    parallel: int = 1
    """Trainings side by side."""
    hours: float | None = None
    """Stop before this time is over; running trainings write a checkpoint."""
    dry: bool = False
    """Print what is missing and how long it may take; train nothing."""


def run(words: Sequence[str]) -> None:
    """Carry out `onward queue`. Raises ValueError for a user's error, SystemExit after a signal."""
    order = parse(QueueArguments, "queue", words)
    jobs, device = read_plan(order.plan, find_recipe), choose_device(order.device)
    options = ["--device", order.device, "--runs-dir", str(order.runs_dir)]
    named = ["--data-dir", str(order.data_dir)] if order.data_dir else []

    @cache
    def note(data: DataSettings) -> str:
        return load(data, data_dir=None if data.name == "digits" else order.data_dir).note

    def done(recipe: Recipe) -> bool:
        return is_recorded(recipe, RESULTS, note(replace(recipe.data, augmentation=type(recipe.data.augmentation)())))

    def remaining(waiting: Iterable[Recipe]) -> str:
        return left(list(waiting), environment(device).device, order.parallel)

    queue = Queue(
        jobs,
        order.runs_dir,
        command=lambda recipe, stopped: train_command(
            recipe, stopped, [*options, *(named if recipe.data.name != "digits" else [])]
        ),
        done=done,
        remaining=remaining,
        parallel=order.parallel,
        limit=None if order.hours is None else 3600 * order.hours,
        say=say,
    )
    if order.dry:
        waiting = [job for job in jobs if not done(job)]
        for line in (*(f"{job.name} {job.seed}" for job in waiting), remaining(waiting)):
            say(line)
        return
    asked = queue.carry_out()
    if asked is not None:
        say(f"stopped after checkpoints; resume it with: onward queue {order.plan}", error=True)
        raise SystemExit(128 + asked)
    if queue.failed:
        raise ValueError(f"{len(queue.failed)} failed: {', '.join(f'{job.name} {job.seed}' for job in queue.failed)}")


def left(waiting: Sequence[Recipe], device: str, parallel: int) -> str:
    """Return how many trainings are left and how long they may take on a device, by the records."""
    if not waiting:
        return "nothing is left"
    records = read_records(RESULTS)
    seconds = [expected_seconds(recipe, records, device) for recipe in waiting]
    known = [value for value in seconds if value is not None]
    if not known:
        return f"{len(waiting)} left, of unknown length on this machine"
    hours = sum(known) / 3600 / min(parallel, len(waiting))
    others = len(seconds) - len(known)
    count = f"{len(waiting)} left, about {math.ceil(10 * hours) / 10:.1f} hours"
    return f"{count} and {others} of unknown length" if others else count
