"""What is written to a terminal, a pipe or a file: names as they are; a closed pipe does not end the work."""

import contextlib
import difflib
import os
import shutil
import sys
import textwrap
import time
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

_FIRST = 5.0  # seconds that the other processes of torchrun leave to the first


def in_percent(task: str | None, value: float) -> str:
    """Write a result for a column of percentages: a share as its number, R2 as it is, under its name."""
    return f"R2 {value:.4f}" if task == "values" else f"{100 * value:.2f}"


def gap_in_points(task: str | None, gap: float) -> str:
    """Write the difference of two results: of shares in percentage points, of R2 as it is."""
    return f"{gap:+.4f}" if task == "values" else f"{100 * gap:+.2f}"


def shown(text: object) -> str:
    r"""Return a text on one line in which everything that a terminal would obey is written out, ESC as \x1b.

    These are control characters, line ends, marks that turn the direction of writing, and bytes of a file's name that
    are no text. Letters of any language, and spaces, stay.
    """
    line = str(text)
    return line if line.isprintable() else "".join(map(_shown, line))


def _shown(letter: str) -> str:
    if letter.isprintable() or unicodedata.category(letter) == "Zs":
        return letter
    return letter.encode("unicode_escape").decode("ascii")


def say(text: object, *, error: bool = False) -> None:
    """Print one line at once, to standard output or standard error; control characters in it are written out."""
    stream = sys.stderr if error else sys.stdout
    if stream is not None:  # a process may have none
        print(shown(text), file=stream, flush=True)


def say_fitted(text: object, *, indent: int = 0, error: bool = False) -> None:
    """Print a note as `say` does; on a terminal its lines break between words, the later ones indented."""
    stream = sys.stderr if error else sys.stdout
    if stream is None or not stream.isatty():
        say(text, error=error)
        return
    width = max(shutil.get_terminal_size().columns, 2 * indent + 20)
    wrap = textwrap.TextWrapper(width, subsequent_indent=" " * indent, break_on_hyphens=False, break_long_words=False)
    print("\n".join(wrap.wrap(shown(text))), file=stream, flush=True)


def likely(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean ...?)" with the names most like `name`, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.4)
    return f" (did you mean {' or '.join(close)}?)" if close else ""


def hold_back_all_but_first() -> None:
    """Of the processes that torchrun started on a host, delay all but the first, so that one alone prints an error.

    torchrun ends them when the first has ended; an error of a later one alone is printed after the delay.
    """
    if os.environ.get("LOCAL_RANK", "0") != "0" and "TORCHELASTIC_RUN_ID" in os.environ:
        time.sleep(_FIRST)


@contextlib.contextmanager
def open_ended() -> Iterator[None]:
    """Continue the work of a command when the reader of its output closes the pipe, as `| head -1` does.

    What a stream's encoding lacks is written out as an escape.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (None if stream is None else _OpenEnded(stream) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class _OpenEnded:
    """A text stream that drops its text once the reader has closed the pipe."""

    def __init__(self, stream: Any):
        self._stream = stream
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._leave()
            return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._leave()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _leave(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())  # also for what is buffered still, and for what libraries write
        os.close(nowhere)
