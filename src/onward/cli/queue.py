"""The command `onward queue`: trains those of a list of recipes and seeds that have no record."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated, NamedTuple

import tyro

from onward.cli.arguments import parse
from onward.cli.recording import RESULTS, listed
from onward.data import DataSettings, load
from onward.recipes import Recipe
from onward.recipes.lookup import find_recipe, imported_files
from onward.runs.environment import choose_device, environment
from onward.runs.queue import Queue, expected_seconds, is_recorded, read_plan, stopped_run, train_command
from onward.runs.records import foreign, readable_records
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


class _Images(NamedTuple):
    """What tells the images of a recipe from others: the note on this copy of them, and their checksum."""

    note: str
    checksum: str


def run(words: Sequence[str]) -> None:
    """Carry out `onward queue`. Raises ValueError for a user's error, SystemExit after a signal."""
    order = parse(QueueArguments, "queue", words)
    jobs, device = read_plan(order.plan, _recordable), choose_device(order.device)
    queue = _queue(order, jobs, environment(device).device)
    if order.dry:
        waiting = queue.missing()
        for line in (*(f"{job.name} {job.seed}" for job in waiting), queue.remaining(waiting)):
            say(line)
    else:
        asked = queue.carry_out()
        if asked is not None:
            say("stopped after checkpoints; the same command resumes them", error=True)
            raise SystemExit(128 + asked)
    if queue.failed:
        raise ValueError(f"{len(queue.failed)} failed: {', '.join(f'{job.name} {job.seed}' for job in queue.failed)}")


def _queue(order: QueueArguments, jobs: Sequence[Recipe], device: str) -> Queue:
    """Return the queue of an order on a device, by its name in records."""
    options, named = ["--device", order.device, "--runs-dir", str(order.runs_dir)], []
    if order.data_dir is not None:
        named = ["--data-dir", str(order.data_dir)]

    @cache
    def read(data: DataSettings) -> _Images | str:
        try:
            splits = load(data, data_dir=None if data.name == "digits" else order.data_dir)
        except (ValueError, OSError) as error:
            return str(error)  # kept as well: five seeds of a missing set are not looked for five times
        return _Images(splits.note, splits.checksum)

    def images(recipe: Recipe) -> _Images:
        known = read(replace(recipe.data, augmentation=type(recipe.data.augmentation)()))
        if isinstance(known, str):
            raise ValueError(known)
        if other := foreign(recipe, recipe.data.name, known.note):
            raise ValueError(f"not trained, as it would not be recorded: {other}")
        return known

    return Queue(
        jobs,
        order.runs_dir,
        command=lambda recipe, stopped: train_command(
            recipe, stopped, [*options, *(named if recipe.data.name != "digits" else [])], imported_files()
        ),
        stopped=lambda recipe: stopped_run(recipe, order.runs_dir, images(recipe).checksum),
        done=lambda recipe: is_recorded(recipe, RESULTS, images(recipe).note),
        remaining=lambda waiting: left(list(waiting), device, order.parallel),
        parallel=order.parallel,
        limit=None if order.hours is None else 3600 * order.hours,
        say=say,
    )


def _recordable(name: str) -> Recipe:
    """Return a recipe by name. Raises ValueError for an unknown one, and for a row of a file, which is not recorded."""
    recipe = find_recipe(name)
    known = listed(recipe)
    if known is None or known.identity() != recipe.identity():
        raise ValueError(f"`onward list` does not show {name}, and only what it shows is recorded: onward train {name}")
    return recipe


def left(waiting: Sequence[Recipe], device: str, parallel: int) -> str:
    """Return how many trainings are left and how long they may take on a device, by the records."""
    if not waiting:
        return "nothing is left"
    records = readable_records(RESULTS)
    seconds = [expected_seconds(recipe, records, device) for recipe in waiting]
    known = [value for value in seconds if value is not None]
    if not known:
        return f"{len(waiting)} left, of unknown length on this machine"
    hours = sum(known) / 3600 / min(parallel, len(waiting))
    others = len(seconds) - len(known)
    count = f"{len(waiting)} left, about {math.ceil(10 * hours) / 10:.1f} hours"
    return f"{count} and {others} of unknown length" if others else count
