"""What a person sees while a run trains: a bar on a terminal, plain lines elsewhere."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from onward.runs.training import EpochDone, StepDone

_BARS = "▁▂▃▄▅▆▇█"


class Display:
    """Shows epoch, loss, accuracy per block, images/s and time left; a plain line per epoch when not on a terminal."""

    def __init__(self, total_epochs: int, done_epochs: int, steps: int):
        self.console = Console(stderr=True)
        self.total_epochs = total_epochs
        self.last: EpochDone | None = None
        self.images, self.since = 0, time.perf_counter()
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task("", total=total_epochs * steps, completed=done_epochs * steps, rate="")

    def __enter__(self) -> "Display":
        self.bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.bar.stop()

    def step(self, done: StepDone) -> None:
        self.images += done.images
        passed = time.perf_counter() - self.since
        if passed < 0.5:
            return
        rate = f"{self.images / passed:,.0f} img/s"
        self.images, self.since = 0, time.perf_counter()
        self.bar.update(
            self.task,
            completed=done.epoch * done.steps + done.step,
            description=f"epoch {done.epoch + 1}/{self.total_epochs}{_summary(self.last)}",
            rate=rate,
        )

    def epoch(self, done: EpochDone) -> None:
        self.last = done
        if not self.console.is_terminal:
            line = f"epoch {done.epoch + 1}/{self.total_epochs}{_summary(done)}  {done.images_per_second:,.0f} img/s"
            left = (self.total_epochs - done.epoch - 1) * done.train_seconds / (done.epoch + 1)
            self.console.print(f"{line}  about {left:,.0f} s left", highlight=False, soft_wrap=True)


def _summary(done: EpochDone | None) -> str:
    if done is None:
        return ""
    loss = sum(done.losses.values()) / len(done.losses)
    return f"  loss {loss:.3f}  val {done.validation_accuracy:.2%}  blocks {compact(done.block_accuracy)}"


def compact(accuracies: tuple[float, ...]) -> str:
    """Write accuracies per block in percent; many blocks become a small bar chart between the worst and the best."""
    if len(accuracies) <= 5:
        return " ".join(f"{100 * value:.1f}" for value in accuracies)
    low, high = min(accuracies), max(accuracies)
    bars = (_BARS[int((value - low) / max(high - low, 1e-9) * (len(_BARS) - 1))] for value in accuracies)
    return f"{100 * low:.1f} {''.join(bars)} {100 * high:.1f}"
