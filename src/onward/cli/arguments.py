"""Reading a command line: tyro does it; its boxed complaints become one clear line."""

import contextlib
import io
import re
from collections.abc import Sequence
from typing import TypeVar

import tyro

from onward.cli.words import CommandLineError

T = TypeVar("T")


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
