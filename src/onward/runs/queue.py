"""A queue of recipes and seeds: jobs without a record are trained in order, each in a process of its own.

The queue itself keeps nothing: finished trainings are in the records, stopped ones in their run folders. So it can be
killed at any moment and started again.
"""

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

from onward.recipes import Recipe, former
from onward.runs.folder import RunFolder
from onward.runs.records import Records, filed, read_record

GRACE = 45.0  # seconds before a time limit in which trainings write their checkpoints and leave
_SEEDS = 10_000  # of one word of a plan: more is a slip of the finger, and memory
Print = Callable[[str], object]


def read_plan(path: Path, find: Callable[[str], Recipe]) -> list[Recipe]:
    """Read a plan, a recipe and its seeds per line: `asge-mnist-cpu 0-4`; a `#` begins a comment.

    Raises ValueError for a file that is no plan, and naming the line that cannot be understood.
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


def expected_seconds(recipe: Recipe, records: Records, device: str) -> float | None:
    """Return how long a training takes by what was recorded on a device; None without a comparable record.

    Records of the recipe go before those of the same method and network on the same images, an image's time each.
    """
    runs = [run for seeds in records.values() for run in seeds if run.result.device == device]
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
    began: float


@dataclass
class Queue:
    """Carries out jobs side by side, in processes that `command` starts, until a time limit (seconds) if there is one.

    `done` returns whether a job's result is on record.
    """

    jobs: Sequence[Recipe]
    runs_dir: Path
    command: Callable[[Recipe, Path | None], Sequence[str]]
    done: Callable[[Recipe], bool]
    remaining: Callable[[Iterable[Recipe]], str]
    parallel: int = 1
    limit: float | None = None
    say: Print = print
    failed: list[Recipe] = field(default_factory=list)
    _children: list[_Child] = field(default_factory=list)
    _asked: int | None = None

    def __post_init__(self):
        if self.parallel < 1:
            raise ValueError(f"--parallel must be at least 1, got {self.parallel}")
        if self.limit is not None and not GRACE < self.limit < float("inf"):
            raise ValueError(f"--hours must leave more than {GRACE:.0f} seconds, got {self.limit / 3600:g}")

    def carry_out(self) -> int | None:
        """Train what is missing; return the signal that ended it early, or None.

        Jobs that failed are in `failed`; stopped ones have a checkpoint.
        """
        began = time.monotonic()
        waiting = [job for job in self.jobs if not self.done(job)]
        self.say(f"{len(self.jobs) - len(waiting)} of {len(self.jobs)} on record; {self.remaining(waiting)}")
        with self._signals():
            while (waiting or self._children) and self._asked is None:
                if self.limit is not None and time.monotonic() - began > self.limit - GRACE:
                    self.say("the time limit is near: trainings write their checkpoints and stop")
                    break
                while waiting and len(self._children) < self.parallel:
                    self._start(waiting.pop(0))
                time.sleep(0.2)
                if self._collect():
                    self.say(self.remaining([*(child.recipe for child in self._children), *waiting]))
            self._stop()
        return self._asked

    def _start(self, recipe: Recipe) -> None:
        log = self.runs_dir / "queue" / f"{recipe.name}-{recipe.seed}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        stopped = stopped_run(recipe, self.runs_dir)
        with log.open("ab") as output:
            process = subprocess.Popen(
                self.command(recipe, stopped), stdout=output, stderr=output, start_new_session=True
            )
        self._children.append(_Child(recipe, process, log, time.monotonic()))
        self.say(f"{_now()}  {recipe.name} seed {recipe.seed}: {'gone on with' if stopped else 'begun'}")

    def _collect(self) -> bool:
        """Drop the processes that have ended; return whether there was one."""
        ended = [child for child in self._children if child.process.poll() is not None]
        for child in ended:
            self._children.remove(child)
            minutes = (time.monotonic() - child.began) / 60
            name = f"{_now()}  {child.recipe.name} seed {child.recipe.seed}"
            if self.done(child.recipe):
                self.say(f"{name}: on record after {minutes:.1f} minutes")
            else:
                self.failed.append(child.recipe)
                self.say(f"{name}: failed, exit code {child.process.returncode}: {_last_line(child.log)}")
        return bool(ended)

    def _stop(self) -> None:
        """Signal running trainings to write a checkpoint and end; wait for them."""
        for child in self._children:
            child.process.send_signal(signal.SIGTERM)
        for child in self._children:
            child.process.wait()
            what = "on record" if self.done(child.recipe) else "stopped after a checkpoint"
            self.say(f"{_now()}  {child.recipe.name} seed {child.recipe.seed}: {what}")
        self._children.clear()

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
        self._asked = number


def stopped_run(recipe: Recipe, runs_dir: Path) -> Path | None:
    """Return the run folder of a recipe and seed that was begun, the latest one; None if there is none.

    A finished one whose result was not recorded counts as well: going on with it records it. So does one under a name
    that the recipe had before.
    """
    stopped = None
    folders = [runs_dir / name for name in (*reversed(former(recipe.name)), recipe.name)]
    for path in (path for folder in folders for path in sorted(folder.glob(f"seed-{recipe.seed}*"), key=_number)):
        try:
            begun = RunFolder.open(path).recipe()
        except ValueError:
            continue
        if begun.identity() == recipe.identity() and begun.seed == recipe.seed:
            stopped = path
    return stopped


def train_command(recipe: Recipe, stopped: Path | None, options: Sequence[str]) -> list[str]:
    """Return the command line that trains a recipe, or goes on with its run."""
    what = ["--resume", str(stopped)] if stopped else [recipe.name, "--seed", str(recipe.seed)]
    return [sys.executable, "-m", "onward", "train", *what, *options]


def _seeds(word: str) -> range:
    match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", word)
    if match is None or int(match[2] or match[1]) < int(match[1]):
        raise ValueError(f"{word!r} names no seeds; write 0 or 0-4")
    seeds = range(int(match[1]), int(match[2] or match[1]) + 1)
    if len(seeds) > _SEEDS:
        raise ValueError(f"{word!r} names {len(seeds)} seeds: name {_SEEDS} at most at once")
    return seeds


def _number(path: Path) -> int:
    """Return K of seed-N-K, the K-th run of a recipe and seed."""
    last = path.name.split("-")[-1]
    return int(last) if path.name.count("-") > 1 and last.isdigit() else 1


def _last_line(log: Path) -> str:
    lines = [line for line in re.split(r"[\r\n]", log.read_text(errors="replace")) if line.strip()]
    return lines[-1].strip() if lines else "nothing was printed"


def _now() -> str:
    return time.strftime("%H:%M")
