"""Ctrl-C and SIGTERM as a request to stop, which the training loop reads between two steps."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class StopRequest:
    """Holds the signal that asked the run to stop, if one did."""

    def __init__(self):
        self.signal: int | None = None


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Collect the first SIGINT or SIGTERM inside the `with`; a second one acts at once, as usual."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request  # only the main thread may handle signals
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, frame: object) -> None:
        request.signal = number
        restore()

    try:
        for number in before:
            signal.signal(number, note)
        yield request
    finally:
        restore()
