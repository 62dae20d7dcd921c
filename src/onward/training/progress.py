"""Progress of a training: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from onward.core import EpochDone, Task
from onward.core.metrics import MEASURES, format_metric
from onward.training.loop import StepDone

_BARS, _PLAIN_BARS = "▁▂▃▄▅▆▇█", "_.-=+*%@"
_OTHERS = 34  # least columns of bar, rate, time left and the gaps between them
_SILENCE = 10.0  # most seconds between two lines of plain text


class Stages:
    """Shows the progress of work between training steps, with its speed and the time left.

    Without a terminal it is a plain line, once in a while.
    """

    def __init__(self, bar: Progress):
        self.bar, self.console = bar, bar.console
        self.task: TaskID | None = None
        self.what, self.since, self.shown = "", 0.0, 0.0

    def __call__(self, what: str, done: int, whole: int) -> None:
        """Show that `done` of `whole` steps of `what` are done; the line is removed at the end."""
        now = time.perf_counter()
        if what != self.what:
            self.close()
            self.what, self.since, self.shown = what, now, now
        if done >= whole:
            self.close()
        elif not self.console.is_terminal:
            if now - self.shown >= _SILENCE:
                self.shown = now
                self.console.print(f"{what}: {done:,} of {whole:,}{_left(done, whole, now - self.since)}")
        elif self.task is None or now - self.shown >= 0.1:
            self.shown = now
            passed = now - self.since
            rate = f"{done / passed:,.0f}/s" if done else ""
            if self.task is None:
                self.task = self.bar.add_task("", total=whole, rate="", left="")
            text = _fitting([f"{what}  {done:,} of {whole:,}", what], self.console.width - _OTHERS)
            self.bar.update(
                self.task, completed=done, total=whole, description=text, rate=rate, left=_clock(done, whole, passed)
            )

    def close(self) -> None:
        """Remove the line."""
        if self.task is not None:
            self.bar.remove_task(self.task)
        self.task, self.what = None, ""


@contextmanager
def stages() -> Iterator[Stages]:
    """Show, inside the `with`, the progress of work without a training."""
    bar = _bar()
    with bar:
        yield Stages(bar)


class Display:
    """Shows epoch, loss, accuracy per block, inputs per second and time left, and a line for every epoch that stays.

    On a terminal the former is a bar at the bottom, and so is the work between epochs and after the last one.
    With `quiet` it shows nothing.
    """

    def __init__(self, total_epochs: int, done_epochs: int, steps: int, *, noun: str = "images", quiet: bool = False):
        """`noun`: the plural noun of the inputs, for the rate."""
        self.unit = "img/s" if noun == "images" else f"{noun}/s"
        self.total_epochs = total_epochs
        self.last: EpochDone | None = None
        self.images, self.since = 0, time.perf_counter()
        self.first: tuple[int, float] | None = None  # the first step that was seen, and when
        self.bar = _bar(quiet=quiet)
        self.console = self.bar.console
        self.whole = total_epochs * steps
        self.task = self.bar.add_task("", total=self.whole, completed=done_epochs * steps, rate="", left="")
        self.stage = Stages(self.bar)

    def __enter__(self) -> "Display":
        self.bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.bar.stop()

    def step(self, done: StepDone) -> None:
        steps, now = done.epoch * done.steps + done.step, time.perf_counter()
        self.first = self.first or (steps, now)
        self.images += done.images
        passed = now - self.since
        if passed < 0.5:
            return
        rate = f"{self.images / passed:,.0f} {self.unit}"
        self.images, self.since = 0, now
        before, begun = self.first
        left = _clock(steps - before, self.whole - before, now - begun)
        epoch = f"epoch {done.epoch + 1}/{self.total_epochs}"
        numbers = [] if self.last is None else _numbers(self.last)
        candidates = ["  ".join([epoch, *numbers[:count]]) for count in range(len(numbers), -1, -1)]
        self.bar.update(
            self.task,
            completed=steps,
            description=_fitting(candidates, self.console.width - _OTHERS - len(self.unit) + len("img/s")),
            rate=rate,
            left=left,
        )

    def epoch(self, done: EpochDone) -> None:
        self.stage.close()
        self.last = done
        epoch, rate = f"epoch {done.epoch + 1}/{self.total_epochs}", f"{done.images_per_second:,.0f} {self.unit}"
        lines = ["  ".join([epoch, *_numbers(done), rate])]
        if self.console.is_terminal:  # time left is on the bar
            lines.append(" ".join([epoch, *_numbers(done), rate]))
            short = [epoch.removeprefix("epoch "), *_numbers(done)[:2]]
            if done.block_accuracy:
                low, bars, high = _range(done.block_accuracy, done.task)
                drawn = [] if bars.isascii() else [f"{low}{bars}{high}"]  # signs would run into the numbers
                lines += [" ".join([*short, text, rate]) for text in (*drawn, f"{low}-{high}")]
            self.console.print(_fitting(lines, self.console.width), soft_wrap=True)
        else:
            left = (self.total_epochs - done.epoch - 1) * done.train_seconds / (done.epoch + 1)
            self.console.print(f"{lines[0]}  about {left:,.0f} s left", soft_wrap=True)
        self.images, self.since = 0, time.perf_counter()  # validation took its time too

    def trained(self) -> None:
        """Remove the bar; later output has its own lines."""
        self.bar.update(self.task, visible=False)


def _bar(*, quiet: bool = False) -> Progress:
    console = Console(stderr=True, quiet=quiet, highlight=False, markup=False, emoji=False)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[rate]}", markup=False),
        TextColumn("{task.fields[left]}", markup=False),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


def _fitting(texts: Sequence[str], room: int) -> str:
    """Return the first text that fits, the last one if none does."""
    return next((text for text in texts if len(text) <= room), texts[-1])


def _left(done: int, whole: int, seconds: float) -> str:
    return f", about {seconds * (whole - done) / done:,.0f} s left" if done else ""


def _clock(done: int, whole: int, seconds: float) -> str:
    """Return the time left in hours, minutes and seconds, at the speed so far."""
    if done < 1:
        return "-:--:--"
    left = round(seconds * (whole - done) / done)
    return f"{left // 3600}:{left // 60 % 60:02}:{left % 60:02}"


def _numbers(done: EpochDone) -> list[str]:
    loss = sum(done.losses.values()) / len(done.losses)
    blocks = [f"blocks {compact(done.block_accuracy, done.task)}"] if done.block_accuracy else []
    measure = "" if done.task == "classes" else f" {MEASURES[done.task]}"
    return [f"loss {loss:.3f}", f"val{measure} {format_metric(done.task, done.validation_accuracy)}", *blocks]


def compact(accuracies: tuple[float, ...], task: Task = "classes") -> str:
    """Return accuracies per block in percent, or R2; many blocks become a small bar chart of their range."""
    if len(accuracies) <= 5:
        return " ".join(_short(value, task) for value in accuracies)
    return " ".join(_range(accuracies, task))


def _short(value: float, task: Task) -> str:
    return f"{value:.3f}" if task == "values" else f"{100 * value:.1f}"


def _range(accuracies: tuple[float, ...], task: Task) -> tuple[str, str, str]:
    low, high = min(accuracies), max(accuracies)
    encoding = getattr(sys.stderr, "encoding", None) or ""
    heights = _BARS if encoding.lower().startswith("utf") else _PLAIN_BARS
    bars = (heights[int((value - low) / max(high - low, 1e-9) * (len(heights) - 1))] for value in accuracies)
    return _short(low, task), "".join(bars), _short(high, task)
