"""Locks on the files of a run: they vanish with the process that holds them, however it ends."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from onward.storage.disk import open_plain


@contextmanager
def trained_here(run: Path) -> Iterator[None]:
    """Hold a run while it is carried out. Raises ValueError if another process does.

    The lock lies on `config.json`, which is never written again: no file is left behind.
    """
    with open_plain(run / "config.json", write=True) as file:
        if not _hold(file, wait=False):
            raise ValueError(f"{run} is being trained by another process; wait for it or stop it")
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=file.close)  # a worker that outlives this process must not hold it
        yield


def wait_for(file: BinaryIO) -> None:
    """Wait until no other process holds an open file; hold it until it is closed."""
    _hold(file, wait=True)


def _hold(file: BinaryIO, *, wait: bool) -> bool:
    """Lock a file; return False if another process holds it. Without such locks everybody may go on."""
    if sys.platform == "win32":
        return True
    import fcntl  # Unix alone has it

    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # nor does every file system have locks
        return True
    return True
