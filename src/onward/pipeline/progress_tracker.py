"""The state of the training thread of a rank, and since when; the watching thread reads it."""

import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

FREE, BUSY = "free", "busy"


class State(NamedTuple):
    """State of a rank: free (no progress expected), busy, or the message it waits for: `input 3` comes from rank 3."""

    doing: str
    since: float
    """Seconds on the monotonic clock of this process."""

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.since

    @property
    def waits(self) -> bool:
        return self.doing not in (FREE, BUSY)


class ProgressTracker:
    """The state of the thread that creates it: free, busy with a step or an evaluation batch, or waiting.

    Only inside `expected` is there a limit to how long a step or batch may take. Waiting for another rank is not work.
    """

    def __init__(self):
        self.state = State(FREE, time.monotonic())
        self._thread = threading.get_ident()

    @contextmanager
    def expected(self) -> Iterator[None]:
        """Inside the `with`, this thread must finish steps or batches in time."""
        before = self.state.doing
        self._now(BUSY)
        try:
            yield
        finally:
            self._now(before)

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Inside the `with`, this thread waits for another rank; afterwards the time of a step begins again."""
        before = self.state.doing
        self._now(what)
        try:
            yield
        finally:
            self._now(before)

    def tick(self) -> None:
        """Note that a step or batch is done and that the next one begins."""
        self._now(self.state.doing)

    def line_of_code(self) -> str:
        """Return the line of code that the thread is at: function, file and number."""
        frame = sys._current_frames().get(self._thread)
        if frame is None:
            return "nowhere"
        last = traceback.extract_stack(frame)[-1]
        return f"{last.name}, {Path(last.filename).name} line {last.lineno}"

    def _now(self, doing: str) -> None:
        self.state = State(doing, time.monotonic())  # one assignment: the other thread sees all of it or nothing
