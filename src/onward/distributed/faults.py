"""Faults: a rank that dies, hangs or fails is noticed by all others within seconds, and named."""

import threading
import time
from collections.abc import Callable
from typing import Any

BEAT, LOST_AFTER, GRACE = 0.5, 7.0, 1.5  # seconds; together below ten


class PipelineFault(Exception):
    """Another rank failed, so that this one cannot go on. The message names that rank and its reason."""


class Watch:
    """A thread that shows the others that this process lives, watches one neighbour, and spreads what it notices.

    `store` is a key-value store that all ranks reach and no other thread uses. Every rank watches the next one, the
    last the first. Whoever notices a fault writes it down; the first to do so is believed. A rank that does not come
    out of its own work within `GRACE` seconds is taken out by `leave`.
    """

    def __init__(self, store: Any, rank: int, world: int, name: str, leave: Callable[[str], None]):
        self.store, self.rank, self.world, self.name, self.leave = store, rank, world, name, leave
        self.fault: str | None = None
        self._own = False
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.store.set(f"beat/{rank}", "0")
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to watch, once every rank has shown its first beat."""
        self.store.wait([f"beat/{rank}" for rank in range(self.world)])
        self._thread.start()

    def check(self) -> None:
        """Raise PipelineFault if some rank has failed."""
        if self.fault is not None and not self._own:
            raise PipelineFault(self.fault)

    def report(self, text: str, *, own: bool = False) -> str:
        """Write a fault down for all ranks, unless one was already; return the one that stands."""
        self._own = own
        try:
            with self._lock:
                stands = self.store.compare_set("fault", "", text).decode()
        except Exception:  # noqa: BLE001 (whatever a lost store raises)
            stands = text
        self.fault = self.fault or stands
        return stands

    def end(self) -> None:
        """Tell the others that this rank is done, and stop watching."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        try:
            with self._lock:
                self.store.set(f"beat/{self.rank}", "done")
        except Exception:  # noqa: BLE001 (the others, and the store with them, may be gone already)
            return

    def _run(self) -> None:
        neighbour = (self.rank + 1) % self.world
        seen, since, count = "", time.monotonic(), 0
        while not self._stop.wait(BEAT):
            count += 1
            try:
                with self._lock:
                    self.store.set(f"beat/{self.rank}", str(count))
                    beat = self.store.get(f"beat/{neighbour}").decode()
                    fault = self.store.get("fault").decode() if self.store.check(["fault"]) else ""
            except Exception:  # noqa: BLE001 (whatever a lost store raises)
                self.fault = self.fault or "the process that holds the rendezvous is gone"
                return self._take_out()
            if fault:
                self.fault = self.fault or fault
                return self._take_out()
            if beat != seen:
                seen, since = beat, time.monotonic()
            elif beat != "done" and time.monotonic() - since > LOST_AFTER:
                self.report(f"rank {neighbour} has not been heard of for {LOST_AFTER:.0f} seconds")
                return self._take_out()

    def _take_out(self) -> None:
        if not self._stop.wait(GRACE) and self.fault is not None:
            self.leave(self.fault)
