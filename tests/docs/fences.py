"""The fenced blocks of README, CONTRIBUTING and docs, and how a shell line of them is read."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
_FRAGMENT = re.compile(r"<!-- fragment: .+ -->")


class Fence(NamedTuple):
    """A block: its page, the line on which its text begins, its language and its text.

    A block below the comment `<!-- fragment: why -->` is not run.
    """

    page: Path
    line: int
    language: str
    text: str
    fragment: bool

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"


def fences(page: Path, *languages: str) -> list[Fence]:
    """Return the blocks of a page, those in some languages alone if any are named."""
    found = read(page, page.read_text(encoding="utf-8"))
    return [fence for fence in found if not languages or fence.language in languages]


def read(page: Path, text: str) -> list[Fence]:
    """Return the blocks of a text. Raises ValueError for one that does not end."""
    found, lines, begun = [], text.splitlines(), None
    for number, line in enumerate(lines):
        if not line.lstrip().startswith("```"):
            continue
        if begun is None:
            begun = number
            continue
        above = [before for before in lines[max(0, begun - 2) : begun] if before.strip()]
        fragment = bool(above) and _FRAGMENT.fullmatch(above[-1].strip()) is not None
        language = lines[begun].strip().removeprefix("```")
        found.append(Fence(page, begun + 2, language, "\n".join(lines[begun + 1 : number]) + "\n", fragment))
        begun = None
    if begun is not None:
        raise ValueError(f"{page}:{begun + 1}: a block that does not end")
    return found


def commands(text: str) -> list[list[str]]:
    """Return the words of each command of a shell block; a backslash joins lines, # begins a remark."""
    joined = text.replace("\\\n", " ")
    return [words for line in joined.splitlines() if (words := shlex.split(line, comments=True))]
