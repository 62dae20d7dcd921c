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

_SHUTS_OUT_READERS = sys.platform == "win32"  # a locked file cannot be read there: a file beside it is locked


@contextmanager
def trained_here(run: Path) -> Iterator[None]:
    """Lock a run while it is trained. Raises ValueError if another process holds the lock.

    `config.json` is locked, which is never rewritten: no lock file is left behind, except on Windows.
    """
    with _to_lock(run / "config.json") as file:
        if not _hold(file, wait=False):
            raise ValueError(f"{run} is being trained by another process; wait for it or stop it")
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=file.close)  # a worker that outlives this process must not hold it
        yield


def is_trained(run: Path) -> bool:
    """Whether a process holds the lock of a run."""
    with _to_lock(run / "config.json") as file:
        return not _hold(file, wait=False)


def held_while_open(file: BinaryIO) -> bool:
    """Lock an open file until the last process that has it open, a child that got it too, has closed it.

    Returns False if another one holds it. On Windows nothing is locked: a child could not write to it.
    """
    return _SHUTS_OUT_READERS or _hold(file, wait=False)


@contextmanager
def appended_here(path: Path) -> Iterator[BinaryIO]:
    """Open a file to append to it, and wait for other processes that do. Raises as `open_to_append` does."""
    with open_to_append(path) as file, _to_lock(path) as locked:
        _hold(locked, wait=True)
        try:
            yield file
        finally:
            file.flush()  # before the lock is released


@contextmanager
def _to_lock(path: Path) -> Iterator[BinaryIO]:
    """Open the file to lock for `path`."""
    if not _SHUTS_OUT_READERS:
        with open_plain(path, write=True) as file:
            yield file
        return
    beside = path.with_name(f"{path.name}.lock")
    path.stat()  # a missing file is an error
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
    except OSError:  # a file system without locks excludes no process
        return True
