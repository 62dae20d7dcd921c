"""Writing into shared folders: only plain files, never through a link, atomically, with the user's umask."""

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from safetensors import SafetensorError

_SAFE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)  # Windows has neither, and no named pipes
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_STRAY = re.compile(r"\.[\w.-]+\.(json|jsonl|safetensors)\.[0-9a-z_]{8}|\.tmp[0-9A-Za-z]{6}|metrics\.tmp")


def open_plain(path: Path, *, write: bool = False) -> BinaryIO:
    """Open a plain file to read, or to change it.

    Raises ValueError for a folder, pipe or device, OSError if it does not exist.
    """
    _check_plain(path, os.stat(path).st_mode)  # opening a device may have effects
    handle = os.open(path, (os.O_RDWR if write else os.O_RDONLY) | _SAFE | getattr(os, "O_BINARY", 0))
    try:
        _check_plain(path, os.fstat(handle).st_mode)
        return os.fdopen(handle, "r+b" if write else "rb")
    except BaseException:
        os.close(handle)
        raise


def read_plain(path: Path) -> bytes:
    """Return the content of a plain file. Raises as `open_plain` does."""
    with open_plain(path) as file:
        return file.read()


def open_to_append(path: Path) -> BinaryIO:
    """Open a file to read it and to append to it; create it if it does not exist.

    A hard-linked file is copied first. Raises ValueError for a symbolic link and for anything else that is no plain
    file.
    """
    if path.is_symlink():
        raise ValueError(f"{path} is a link, and nothing is written through one: put the file itself there")
    if path.exists() and path.stat().st_nlink > 1:
        content = read_plain(path)
        replace(path, lambda temporary: temporary.write_bytes(content))
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | _SAFE | _NO_LINK | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags, 0o666)
    try:
        _check_plain(path, os.fstat(handle).st_mode)
        return os.fdopen(handle, "r+b")
    except BaseException:
        os.close(handle)
        raise


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then move it to `path`.

    A link at `path` is replaced; its target is unchanged. Raises OSError if that cannot be done.
    """
    replace_all({path: write})


def replace_all(writes: Mapping[Path, Callable[[Path], object]]) -> None:
    """Replace several files as `replace` does one: all are written before the first is moved."""
    drafts = {path: path.with_name(f".{path.name}.{secrets.token_hex(4)}") for path in writes}
    path = next(iter(writes))
    try:
        for path, write in writes.items():
            _fill(drafts[path], write)
        for path, draft in drafts.items():
            os.replace(draft, path)
    except (OSError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise OSError(f"cannot write {path}: {reason}; what was there before is untouched") from error
    finally:
        for draft in drafts.values():
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)


def _fill(draft: Path, write: Callable[[Path], object]) -> None:
    handle = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | _SAFE | _NO_LINK, 0o666)
    mode = stat.S_IMODE(os.fstat(handle).st_mode)  # as the umask allows
    os.close(handle)
    write(draft)
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    draft.chmod(mode)  # the writer may have created a new file


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all. Raises OSError if it cannot be written."""
    replace(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def make_folder(path: Path) -> None:
    """Create a folder inside a run, unless it exists. Raises ValueError for a link, and for a file in its place."""
    if path.is_symlink():
        raise ValueError(f"{path} is a link, and nothing is written through one: remove it, or put the folder there")
    check_folder(path)
    path.mkdir(exist_ok=True)


def check_folder(path: Path) -> None:
    """Raise ValueError where a file stands in the place of a folder, or of one above it."""
    file = next((place for place in (path, *path.parents) if place.exists() and not place.is_dir()), None)
    if file is not None:
        raise ValueError(f"{file} is a file, and a folder has to be there: move or remove it")


def sweep(folder: Path) -> None:
    """Remove temporary files of killed writes from a folder, into which no process may be writing."""
    for path in folder.iterdir():
        if _STRAY.fullmatch(path.name) and (path.is_symlink() or path.is_file()):
            path.unlink(missing_ok=True)


def _check_plain(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"))
        kind = next((name for test, name in kinds if test(mode)), "a device")
        raise ValueError(f"{path} is {kind}, not a plain file")
