"""What was found out about a finished run, kept in its folder so that nothing is computed twice."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from onward.runs.disk import open_to_append, read_plain
from onward.runs.locks import wait_for


class Kept:
    """A file of lines, each a question and its answer as JSON. A line that a stop cut off counts as not written.

    Several processes may add lines to it. Raises ValueError when it is read and a whole line is damaged.
    """

    def __init__(self, path: Path):
        self.path = path
        self._answers: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
        text = read_plain(path) if path.exists() else b""
        try:
            for line in text[: text.rfind(b"\n") + 1].splitlines():
                content = json.loads(line)
                self._answers[_text(content["asked"])] = content["asked"], content["found"]
        except (ValueError, TypeError, KeyError):
            raise ValueError(f"{path} holds a damaged line; delete that file to evaluate again") from None

    def __iter__(self):
        """Yield every question with its answer, the oldest first."""
        return iter(self._answers.values())

    def answer(self, asked: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what was found, or None if nobody has asked before."""
        known = self._answers.get(_text(asked))
        return None if known is None else known[1]

    def keep(self, asked: Mapping[str, Any], found: Mapping[str, Any]) -> None:
        """Add a line. Raises OSError if it cannot be written."""
        line = json.dumps({"asked": dict(asked), "found": dict(found)}) + "\n"
        with open_to_append(self.path) as file:
            wait_for(file)
            _drop_cut_off(file)
            file.write(line.encode())
        self._answers[_text(asked)] = json.loads(line)["asked"], json.loads(line)["found"]


def _drop_cut_off(file: BinaryIO) -> None:
    """Remove a last line without an end, if there is one."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 1))
    if file.read() not in (b"", b"\n"):
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


def _text(asked: Mapping[str, Any]) -> str:
    return json.dumps(dict(asked), sort_keys=True)
