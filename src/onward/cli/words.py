"""Words of a command line that are not understood, and what was likely meant."""

import difflib
from collections.abc import Iterable


class CommandLineError(ValueError):
    """A command line that cannot be understood."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean ...?)" with the names most like `name`, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.4)
    return f" (did you mean {' or '.join(close)}?)" if close else ""


class Mistakes(CommandLineError):
    """Several of them, each with a line of its own."""

    def __init__(self, lines: Iterable[str]):
        self.lines = tuple(lines)
        super().__init__("; ".join(self.lines))
