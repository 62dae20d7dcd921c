"""Work: what the training thread of a rank is doing, and for how long, told by that thread to the one that watches."""

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
    """What a rank is doing: free (nobody expects progress), busy, or what it waits for: `input 3` comes from rank 3."""

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
    """The state of the thread that makes it. One step, or one batch of an evaluation, is one piece of work.

    Only inside `expected` is there a limit to how long a piece may take. A rank that waits for another is not at work.
    """

    def __init__(self):
        self.state = State(FREE, time.monotonic())
        self._thread = threading.get_ident()

    @contextmanager
    def expected(self) -> Iterator[None]:
        """Inside, this thread is expected to get on with its pieces of work."""
        before = self.state.doing
        self._now(BUSY)
        try:
            yield
        finally:
            self._now(before)

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Inside, this thread waits for another rank; afterwards a new piece of work begins."""
        before = self.state.doing
        self._now(what)
        try:
            yield
        finally:
            self._now(before)

    def moved(self) -> None:
        """A piece of work is done, and the next one begins."""
        self._now(self.state.doing)

    def place(self) -> str:
        """Return the line of code that the thread is at: function, file and number."""
        frame = sys._current_frames().get(self._thread)
        if frame is None:
            return "nowhere"
        last = traceback.extract_stack(frame)[-1]
        return f"{last.name}, {Path(last.filename).name} line {last.lineno}"

    def _now(self, doing: str) -> None:
        self.state = State(doing, time.monotonic())  # one assignment: the other thread sees all of it or nothing
