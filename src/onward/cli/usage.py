"""Command lines that are not understood, with what was likely meant; help texts as wide as the terminal."""

import re
import shutil
import textwrap
from collections.abc import Iterable


class CommandLineError(ValueError):
    """A command line that cannot be understood."""


class Mistakes(CommandLineError):
    """Several of them, each with a line of its own."""

    def __init__(self, lines: Iterable[str]):
        self.lines = tuple(lines)
        super().__init__("; ".join(self.lines))


def fitted(usage: str, width: int | None = None) -> str:
    """Return the text of a --help wrapped again where it is wider than the terminal, each meaning beside its flag."""
    width = max(_NARROWEST, width or shutil.get_terminal_size().columns)
    blocks = usage.removesuffix("\n").split("\n\n")
    return "\n\n".join(block if _widest(block) <= width else _broken(block, width) for block in blocks) + "\n"


_NARROWEST = 50
_ENTRY = re.compile(r"(usage: | +)(?:\S.*?  +)?(?=\S)")  # the text below which a continued line begins


def _widest(block: str) -> int:
    return max(map(len, block.split("\n")))


def _broken(block: str, width: int) -> str:
    entries: list[str] = []
    for line in block.split("\n"):
        match = _ENTRY.match(entries[-1]) if entries else None
        below = match.end() if match else 0
        if entries and not entries[-1].startswith("usage:") and len(line) - len(line.lstrip()) == below:
            entries[-1] += f" {line.strip()}" if below != 2 else f"\n{line}"
        else:
            entries.append(line)
    return "\n".join(_hung(line, width) for entry in entries for line in entry.split("\n"))


def _hung(line: str, width: int) -> str:
    entry = _ENTRY.match(line)
    indent = min(entry.end() if entry else 0, width // 2)
    return textwrap.fill(line, width, subsequent_indent=" " * indent, break_on_hyphens=False, break_long_words=False)
