"""Reading a command line: tyro does it; its boxed complaints become one clear line."""

import contextlib
import difflib
import io
import re
from collections.abc import Iterable, Sequence
from typing import TypeVar

import tyro

T = TypeVar("T")


class CommandLineError(ValueError):
    """A command line that cannot be understood."""


def parse(kind: type[T], command: str, words: Sequence[str], *, default: T | None = None) -> T:
    """Read `words` as a `kind`. Raises CommandLineError with one line, SystemExit(0) after showing help."""
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(
                kind,
                prog=f"onward {command}",
                args=words,
                default=tyro.MISSING_NONPROP if default is None else default,
                config=(tyro.conf.AvoidSubcommands,),
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise CommandLineError(_one_line(complaint.getvalue())) from None


def nearest(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean ...?)" with the names most like `name`, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.4)
    return f" (did you mean {' or '.join(close)}?)" if close else ""


def _one_line(boxed: str) -> str:
    """Keep what a boxed message says and the nearest flags; leave out frame, title and explanations of flags."""
    lines = [line.strip("│╰╯ ") for line in boxed.splitlines()[1:]]
    sections = [part for part in re.split(r"[─-]{5,}", "\n".join(lines)) if part.strip()]
    if not sections:
        return "the command line cannot be understood; see --help"
    told = [" ".join(sections[0].split())]
    for section in sections[1:]:
        if section.strip().startswith("Perhaps you meant"):
            told.append("; did you mean " + " or ".join(re.findall(r"--[\w.-]+", section)) + "?")
    return "".join(told)
