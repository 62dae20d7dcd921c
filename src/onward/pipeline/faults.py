"""Faults: a rank that dies, hangs or fails, or a broken connection, is detected by all ranks and named in the error."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from onward.pipeline.progress_tracker import BUSY, ProgressTracker

BEAT, LOST_AFTER, GRACE = 0.5, 7.0, 1.5  # seconds; together below ten
_OWN_GRACE = 10.0  # seconds that a rank has to report its own fault
PATIENCE = 600.0  # seconds


class PipelineFault(Exception):
    """Another rank failed, so that this one cannot continue. The message names that rank and the reason."""


class Watch:
    """Threads that report that this process is alive, watch one neighbor, and publish faults.

    `store` is a key-value store that all ranks can reach and no other thread uses. Every rank watches the next one, the
    last the first. A rank that detects a fault publishes it; the first one published counts. A rank that does not stop
    its work within `GRACE` seconds is ended by `leave`.

    A process may be alive and yet make no progress. Each watches its own work: a step or batch that takes longer than
    `patience` seconds is a fault, waiting for others is not. If every rank has waited that long, the first one finds
    the connection that delivers nothing. A third thread detects that the store itself cannot be reached.
    """

    def __init__(
        self,
        store: Any,
        rank: int,
        world: int,
        name: str,
        leave: Callable[[str], None],
        *,
        patience: float = PATIENCE,
    ):
        self.store, self.rank, self.world, self.name, self.leave = store, rank, world, name, leave
        self.patience, self.work = patience, ProgressTracker()
        self.fault: str | None = None
        self._own = False
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._answered = time.monotonic()  # when the store last did
        self.store.set(f"beat/{rank}", "0")
        self._threads = [
            threading.Thread(target=self._run, name="watch", daemon=True),
            threading.Thread(target=self._guard, name="guard", daemon=True),
        ]

    def start(self) -> None:
        """Begin to watch, after the first heartbeat of every rank."""
        self.store.wait([f"beat/{rank}" for rank in range(self.world)])
        self._answered = time.monotonic()
        for thread in self._threads:
            thread.start()

    def check(self) -> None:
        """Raise PipelineFault if some rank has failed."""
        if self.fault is not None and not self._own:
            raise PipelineFault(self.fault)

    def report(self, text: str, *, own: bool = False) -> str:
        """Publish a fault to all ranks, unless there is one already; return the first one."""
        self._own = own
        first = self._ask(lambda: self.store.compare_set("fault", "", text).decode(), text)
        self.fault = self.fault or first
        return first

    def end(self) -> None:
        """Publish that this rank is done, and stop watching."""
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(LOST_AFTER)
        self._ask(lambda: self.store.set(f"beat/{self.rank}", "done"), None)

    def _ask(self, question: Callable[[], Any], otherwise: Any) -> Any:
        """Query the store, unless it is gone or does not answer another thread."""
        if not self._lock.acquire(timeout=GRACE):
            return otherwise
        try:
            return question()
        except Exception:  # noqa: BLE001 (whatever a lost store raises)
            return otherwise
        finally:
            self._lock.release()

    def _run(self) -> None:
        neighbor = (self.rank + 1) % self.world
        seen, since, count = "", time.monotonic(), 0
        while not self._stop.wait(BEAT):
            count += 1
            state = self.work.state
            try:
                with self._lock:
                    self.store.set(f"beat/{self.rank}", f"{count} {state.seconds:.3f} {state.doing}")
                    beat = self.store.get(f"beat/{neighbor}").decode()
                    fault = self.store.get("fault").decode() if self.store.check(["fault"]) else ""
            except Exception:  # noqa: BLE001 (whatever a lost store raises)
                self.fault = self.fault or "the process that holds the rendezvous is gone"
                return self._take_out()
            self._answered = time.monotonic()
            if fault:
                self.fault = self.fault or fault
                return self._take_out()
            if beat != seen:
                seen, since = beat, time.monotonic()
            elif beat != "done" and time.monotonic() - since > LOST_AFTER:
                self.report(f"rank {neighbor} has not been heard of for {LOST_AFTER:.0f} seconds")
                return self._take_out()
            stuck = self._stuck()
            if stuck:
                self.report(stuck)
                return self._take_out()

    def _guard(self) -> None:
        """Notice a store that does not answer, which blocks the watching thread itself."""
        while not self._stop.wait(BEAT):
            if time.monotonic() - self._answered > LOST_AFTER:
                self.fault = self.fault or (
                    f"{self.name} is cut off: the process that holds the rendezvous has not answered for "
                    f"{LOST_AFTER:.0f} seconds"
                )
                return self._take_out()

    def _stuck(self) -> str | None:
        """Return which rank or connection is stuck, if any: the work of this rank, or, on the first rank, a
        connection."""
        state = self.work.state
        if state.seconds <= self.patience:
            return None
        if state.doing == BUSY:
            return (
                f"{self.name} lives but makes no progress: {self.patience:g} seconds on one piece of work, at "
                f"{self.work.line_of_code()}; if work may take that long, raise --patience"
            )
        if self.rank == 0 and state.waits:
            beats = self._ask(lambda: [self.store.get(f"beat/{rank}").decode() for rank in range(self.world)], ["gone"])
            return silent_link(beats, self.patience)
        return None

    def _take_out(self) -> None:
        if not self._stop.wait(_OWN_GRACE if self._own else GRACE) and self.fault is not None:
            self.leave(self.fault)


def silent_link(beats: Sequence[str], patience: float) -> str | None:
    """Return which connection delivers nothing, from the last heartbeats of all ranks, if all have waited too long.

    A heartbeat is a count, the seconds in a state, and the state. If the sender of a message waits for input too, the
    message does not exist yet; otherwise it was lost on the connection.
    """
    waits = {}
    for rank, beat in enumerate(beats):
        _, seconds, doing, *other = [*beat.split(), "", ""][:4]
        if doing not in ("input", "room", "peers", "word") or float(seconds) <= patience:
            return None
        waits[rank] = (doing, other)
    for rank, (doing, other) in waits.items():
        if doing == "input" and waits[int(other[0])][0] != "input":
            return (
                f"nothing comes through from rank {other[0]} to rank {rank}: all ranks have waited for "
                f"{patience:g} seconds, and the connection between these two is silent"
            )
    return f"all ranks have waited for each other for {patience:g} seconds: a connection between them is silent"
