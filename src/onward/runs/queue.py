"""A queue of recipes and seeds: jobs without a record are trained in order, each in a process of its own.

The queue itself keeps nothing: finished trainings are in the records, stopped ones in their run folders. So it can be
killed at any moment and started again. A training holds the lock on its log while it lives, so that neither a second
queue nor one after a kill trains it beside.
"""

import contextlib
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from onward.recipes import Recipe
from onward.runs.folder import RunFolder, runs_of
from onward.runs.records import Record, filed, read_record
from onward.screen import say
from onward.storage.locks import held_while_open, is_trained

GRACE = 45.0  # seconds before a time limit in which trainings write their checkpoints and leave
_KILLED = 5 / 45  # share of them that is left when those that did not leave are killed
MOST_SEEDS = 10_000  # of one word of a plan: more is a slip of the finger, and memory
_LAST_SEED = 2**63 - 1
Print = Callable[[str], object]


def read_plan(path: Path, find: Callable[[str], Recipe]) -> list[Recipe]:
    """Read a plan, a recipe and its seeds per line: `asge-mnist-cpu 0-4`; a `#` begins a comment.

    Raises ValueError for a file that is no plan or an empty one, and naming the line that cannot be understood.
    """
    jobs: list[Recipe] = []
    for number, line in enumerate(_text(path).splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            recipe, seeds = find(words[0]), [seed for word in words[1:] for seed in _seeds(word)]
            if not seeds:
                raise ValueError("give its seeds too, such as 0 or 0-4")
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from None
        jobs += [replace(recipe, seed=seed) for seed in seeds]
    if not jobs:
        raise ValueError(f"{path} names no recipe: write one and its seeds on each line, such as `asge-mnist-cpu 0-4`")
    return list(dict.fromkeys(jobs))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # editors on Windows begin a file with a mark
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8 (byte {error.start}): save it as UTF-8") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}): name a file of recipes and seeds") from None


def is_recorded(recipe: Recipe, results: Path, note: str) -> bool:
    """Whether the result of a recipe and seed on these images is on record, as the recipe is today."""
    path = filed(results, recipe.name, recipe.seed, note)
    return path is not None and read_record(path).recipe.identity() == recipe.identity()


def expected_seconds(recipe: Recipe, records: Iterable[Record], device: str) -> float | None:
    """Return how long a training takes by what was recorded on a device; None without a comparable record.

    Records of the recipe go before those of the same method and network on the same images, an image's time each.
    """
    runs = [run for run in records if run.result.device == device]
    same = [run.result.train_seconds for run in runs if run.recipe.identity() == recipe.identity()]
    if same:
        return statistics.fmean(same)
    alike = [
        run.result.train_seconds * recipe.epochs / run.recipe.epochs
        for run in runs
        if (run.recipe.algorithm, run.recipe.net) == (recipe.algorithm, recipe.net)
        and run.recipe.data.name == recipe.data.name
    ]
    return statistics.fmean(alike) if alike else None


@dataclass
class _Child:
    recipe: Recipe
    process: subprocess.Popen[bytes]
    log: Path
    said_before: int
    """Bytes of the log that earlier attempts have left."""
    began: float


@dataclass
class Queue:
    """Carries out jobs side by side, in processes that `command` starts, until a time limit (seconds) if there is one.

    `done` returns whether a job's result is on record, and raises ValueError or OSError for a job that cannot be
    trained; `stopped` returns the run folder to go on with, if there is one.
    """

    jobs: Sequence[Recipe]
    runs_dir: Path
    command: Callable[[Recipe, Path | None], Sequence[str]]
    stopped: Callable[[Recipe], Path | None]
    done: Callable[[Recipe], bool]
    remaining: Callable[[Iterable[Recipe]], str]
    parallel: int = 1
    limit: float | None = None
    say: Print = print
    failed: list[Recipe] = field(default_factory=list)
    _children: list[_Child] = field(default_factory=list)
    _elsewhere: set[Recipe] = field(default_factory=set)
    _noted: list[int] = field(default_factory=list)

    def __post_init__(self):
        if self.parallel < 1:
            raise ValueError(f"--parallel must be at least 1, got {self.parallel}")
        if self.limit is not None and not GRACE < self.limit < float("inf"):
            raise ValueError(f"--hours must leave more than {GRACE:.0f} seconds, got {self.limit / 3600:g}")

    def missing(self) -> list[Recipe]:
        """Return the jobs that are not on record; those that cannot be trained are said, and are in `failed`."""
        return [job for job in self.jobs if self._standing(job) == "missing"]

    def carry_out(self) -> int | None:
        """Train what is missing; return the signal that ended it early, or None.

        Jobs that failed are in `failed`; stopped ones have a checkpoint. However it ends, no training is left behind.
        Raises ValueError if the folder of the runs cannot be written to.
        """
        end = float("inf") if self.limit is None else time.monotonic() + self.limit
        waiting = self.missing()
        recorded = len(self.jobs) - len(waiting) - len(self.failed)
        self.say(f"{recorded} of {len(self.jobs)} on record; {self.remaining(waiting)}")
        if waiting:
            self._make_folder()
        with self._signals():
            try:
                self._work(waiting, end - GRACE)
            finally:
                stopped = self._stop(end - _KILLED * GRACE)
        if stopped or waiting:
            self.say(self.remaining([*stopped, *waiting]))
        return self._noted[0] if self._noted else None

    def _make_folder(self) -> None:
        logs = self.runs_dir / "queue"
        try:
            logs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"no log can be written in {logs}: {error.strerror}; name another --runs-dir") from None

    def _work(self, waiting: list[Recipe], end: float) -> None:
        """Start and collect trainings until nothing waits, a signal comes, or the end is there."""
        while (waiting or self._children) and not self._noted:
            if time.monotonic() > end:
                self.say("the time limit is near: trainings write their checkpoints and stop")
                return
            held = []
            while waiting and len(self._children) < self.parallel:
                job = waiting.pop(0)
                if not self._start(job):
                    held.append(job)
            waiting[:0] = held
            time.sleep(0.2)
            if self._collect():
                left = self.remaining([*(child.recipe for child in self._children), *waiting])
                self.say(f"{left}; {len(self.failed)} failed" if self.failed else left)

    def _start(self, job: Recipe) -> bool:
        """Start a training; return False, for it to be tried again, where another process is at it."""
        log = self.runs_dir / "queue" / f"{job.name}-{job.seed}.log"
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("ab") as output:
                free = held_while_open(output)
                if free and (standing := self._standing(job)) != "missing":
                    if standing == "recorded":
                        self._tell(job, "on record, by another queue")
                    return True
                stopped = self.stopped(job) if free else None
                if not free or (stopped is not None and is_trained(stopped)):
                    self._leave(job)
                    return False
                before, begun = output.tell(), time.monotonic()
                process = subprocess.Popen(
                    self.command(job, stopped), stdout=output, stderr=output, start_new_session=True
                )
        except OSError as error:
            self._fail(job, str(error))
            return True
        self._children.append(_Child(job, process, log, before, begun))
        self._tell(job, "gone on with" if stopped else "begun")
        return True

    def _collect(self) -> bool:
        """Drop the processes that have ended; return whether there was one."""
        ended = [child for child in self._children if child.process.poll() is not None]
        for child in ended:
            self._children.remove(child)
            standing = self._standing(child.recipe)
            if standing == "missing":
                self._fail(child.recipe, f"exit code {child.process.returncode}: {_last_line(child)}")
            elif standing == "recorded":
                self._tell(child.recipe, f"on record after {(time.monotonic() - child.began) / 60:.1f} minutes")
        return bool(ended)

    def _stop(self, end: float) -> list[Recipe]:
        """Signal running trainings to write a checkpoint and end; wait for them, and return those without a record.

        Those that are still there at the end, or when a further signal comes, are killed.
        """
        for child in self._children:
            child.process.send_signal(signal.SIGTERM)
        noted, stopped = len(self._noted), []
        while any(child.process.poll() is None for child in self._children):
            if len(self._noted) > noted or time.monotonic() > end:
                for child in self._children:
                    _kill(child.process)
            time.sleep(0.05)
        for child in self._children:
            standing = self._standing(child.recipe)
            if standing == "missing":
                self._tell(child.recipe, _how_stopped(child.process.returncode))
                stopped.append(child.recipe)
            elif standing == "recorded":
                self._tell(child.recipe, "on record")
        self._children.clear()
        return stopped

    def _standing(self, job: Recipe) -> Literal["recorded", "missing", "untrainable"]:
        """Return whether a job is on record, still to be trained, or cannot be, which is said and in `failed`."""
        try:
            return "recorded" if self.done(job) else "missing"
        except (ValueError, OSError) as error:
            self._fail(job, str(error))
            return "untrainable"

    def _fail(self, job: Recipe, reason: str) -> None:
        self.failed.append(job)
        self._tell(job, f"failed, {reason}")

    def _leave(self, job: Recipe) -> None:
        if job not in self._elsewhere:
            self._elsewhere.add(job)
            self._tell(job, "another process trains it: left to that one")

    def _tell(self, job: Recipe, what: str) -> None:
        self.say(f"{time.strftime('%H:%M')}  {job.name} seed {job.seed}: {what}")

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Note SIGINT and SIGTERM, so that trainings are stopped in order."""
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            for number in before:
                signal.signal(number, self._note)
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: object) -> None:
        self._noted.append(number)


def stopped_run(recipe: Recipe, runs_dir: Path, checksum: str) -> Path | None:
    """Return the run folder of a recipe and seed that was begun on data of a checksum, the latest; None without one.

    A finished one whose result was not recorded counts as well: going on with it records it. So does one under a name
    that the recipe had before. One that is not to be recorded does not, nor a damaged one, which is said.
    """
    stopped = None
    for path in runs_of(recipe, runs_dir):
        try:
            if _is_of(recipe, RunFolder.open(path), checksum):
                stopped = path
        except ValueError as error:
            say(f"passed over {path}: {error}", error=True)
    return stopped


def _is_of(recipe: Recipe, folder: RunFolder, checksum: str) -> bool:
    """Whether a run is one of a recipe and seed on these data that goes on record. ValueError if it is damaged."""
    begun = folder.recipe()
    if begun.identity() != recipe.identity() or begun.seed != recipe.seed:
        return False
    environment = folder.environment()
    if folder.result() is None and not is_trained(folder.path):  # a run in training is asked for many times a second
        folder.load_checkpoint()  # to raise the error of a damaged one now, and not in every attempt
    rounded = environment.pipeline is not None and environment.pipeline.messages == "bf16"
    return environment.data_checksum == checksum and environment.record is not False and not rounded


def train_command(
    recipe: Recipe, stopped: Path | None, options: Sequence[str], files: Sequence[Path] = ()
) -> list[str]:
    """Return the command line that trains a recipe, or goes on with its run; `files` are imported first."""
    what = ["--resume", str(stopped)] if stopped else [recipe.name, "--seed", str(recipe.seed)]
    imported = [word for file in files for word in ("--with", str(file))]
    return [sys.executable, "-m", "onward", *imported, "train", *what, *options]


def _seeds(word: str) -> range:
    match = re.fullmatch(r"(\d{1,19})(?:-(\d{1,19}))?", word)
    if match is None or not int(match[1]) <= int(match[2] or match[1]) <= _LAST_SEED:
        raise ValueError(f"{word!r} names no seeds; write 0 or 0-4, up to {_LAST_SEED}")
    seeds = range(int(match[1]), int(match[2] or match[1]) + 1)
    if len(seeds) > MOST_SEEDS:
        raise ValueError(f"{word!r} names {len(seeds)} seeds: name {MOST_SEEDS} at most at once")
    return seeds


def _last_line(child: _Child) -> str:
    """Return the last line that a training printed, in this attempt."""
    try:
        said = child.log.read_bytes()[child.said_before :].decode(errors="replace")
    except OSError as error:
        return str(error)
    lines = [line for line in re.split(r"[\r\n]", said) if line.strip()]
    return lines[-1].strip() if lines else "nothing was printed"


def _how_stopped(code: int) -> str:
    """Return how a training ended that was asked to stop."""
    if code == 128 + signal.SIGTERM:
        return "stopped after a checkpoint"
    return "stopped" if code == -signal.SIGTERM else f"ended without a new checkpoint, exit code {code}"


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a training and the processes that it started: its checkpoint is whole, as it is written aside."""
    if process.poll() is not None:
        return
    if not hasattr(os, "killpg"):  # on Windows
        process.kill()
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
