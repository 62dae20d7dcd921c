"""Source files: regular files only, with stamps that identify their state."""

import os
import stat
from pathlib import Path

Stamp = tuple[str, int, int, int, int]
"""Path, bytes, inode, and the times of the last change of content and of anything, in nanoseconds."""


def stamp(file: Path) -> Stamp:
    """Return a stamp that changes with a file, also if it keeps its size and modification time.

    Raises ValueError for everything that is not a regular file: reading a named pipe or a device may never end.
    """
    try:
        status = file.stat()
    except FileNotFoundError:
        if file.is_symlink():
            raise ValueError(f"{file} is a link to a file that does not exist: repair or remove it") from None
        raise ValueError(f"{file} is not a file: there is nothing of this name") from None
    except (OSError, RuntimeError, ValueError) as error:  # a link to itself, a name that is too long, no permission
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{file} cannot be read ({reason}): repair or remove it") from None
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{file} is not a file but {_kind(status.st_mode)}: remove it")
    return os.path.abspath(file), status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def cause(error: Exception) -> str:
    """Return an error of a library in one line: its class and its shortened message."""
    if isinstance(error, TypeError | AttributeError | LookupError):  # such a text is for developers
        return "its content is not understood"
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in str(error)).split())
    return f"{type(error).__name__}: {text if len(text) <= 200 else text[:200] + ' ...'}".removesuffix(": ")


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"))
    return next((kind for test, kind in kinds if test(mode)), "a device")
