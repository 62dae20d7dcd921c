"""Locks on the files of a run: they vanish with the process that holds them, however it ends."""

import contextlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from filelock import lock_descriptor

from onward.storage.disk import open_plain, open_to_append

_SHUTS_OUT_READERS = sys.platform == "win32"  # a locked file cannot be read there: the lock lies on one beside it


@contextmanager
def trained_here(run: Path) -> Iterator[None]:
    """Hold a run while it is carried out. Raises ValueError if another process does.

    The lock lies on `config.json`, which is never written again: no file is left behind where locked files can be read.
    """
    with _to_lock(run / "config.json") as file:
        if not _hold(file, wait=False):
            raise ValueError(f"{run} is being trained by another process; wait for it or stop it")
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=file.close)  # a worker that outlives this process must not hold it
        yield


@contextmanager
def appended_here(path: Path) -> Iterator[BinaryIO]:
    """Open a file to add to its end, once no other process does. Raises as `open_to_append` does."""
    with open_to_append(path) as file, _to_lock(path) as locked:
        _hold(locked, wait=True)
        try:
            yield file
        finally:
            file.flush()  # before the lock is let go


@contextmanager
def _to_lock(path: Path) -> Iterator[BinaryIO]:
    """Open the file whose lock stands for that of `path`."""
    if not _SHUTS_OUT_READERS:
        with open_plain(path, write=True) as file:
            yield file
        return
    beside = path.with_name(f"{path.name}.lock")
    path.stat()  # what is not there is not locked
    try:
        with open_to_append(beside) as file:
            yield file
    finally:
        with contextlib.suppress(OSError):  # another process has it open
            beside.unlink(missing_ok=True)


def _hold(file: BinaryIO, *, wait: bool) -> bool:
    """Lock a file until it is closed; return False if another process holds it."""
    try:
        return lock_descriptor(file.fileno(), blocking=wait)
    except OSError:  # not every file system has locks: without them no process is kept out
        return True
