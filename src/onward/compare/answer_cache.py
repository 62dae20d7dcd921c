"""What was found out about a finished run, kept in its folder so that nothing is computed twice."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from onward.screen import say
from onward.storage.forms import check_object
from onward.storage.lines import digest_of, whole_lines
from onward.storage.locks import appended_here

_REMEDY = "delete that file to evaluate again"


Check = Callable[[dict[str, Any], dict[str, Any], str], None]


class AnswerCache:
    """A file of lines, each a question and its answer as JSON. A line that a stop cut off counts as not written.

    Several processes may add lines to it. `weights` is the digest of the run's weights, which every line names; without
    it the run is from before there were digests, and lines without one count. `check` raises ValueError for a question
    or an answer that has not its form.

    Raises ValueError naming file, line and field for a line that is damaged, edited or about another run.
    """

    def __init__(self, path: Path, check: Check | None = None, *, weights: str | None = None):
        self.path, self.weights = path, weights
        self._told = False
        self._answers: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
        for where, line in whole_lines(path, _REMEDY, infinite=True):  # older files have infinite levels
            said = line.pop("sha256", None)
            if said != digest_of(line) and not (said is None and weights is None):
                raise ValueError(f"{where} was edited or damaged; {_REMEDY}")
            try:
                check_object(line, {"asked": dict[str, Any], "found": dict[str, Any]}, where)
                if check is not None:
                    check(line["asked"], line["found"], where)
            except ValueError as error:
                raise ValueError(f"{error}; {_REMEDY}") from None
            if line.get("weights") != weights and weights is not None:
                raise ValueError(f"{where} is about the weights of another run; {_REMEDY}")
            self._answers[_text(line["asked"])] = line["asked"], line["found"]

    def __iter__(self):
        """Yield every question with its answer, the oldest first."""
        return iter(self._answers.values())

    def answer(self, asked: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what was found, or None if nobody has asked before."""
        known = self._answers.get(_text(asked))
        return None if known is None else known[1]

    def keep(self, asked: Mapping[str, Any], found: Mapping[str, Any]) -> None:
        """Add a line; where it cannot be written, as on a read-only disk, say so once. ValueError for a link."""
        line = {"asked": dict(asked), "found": dict(found)}
        line = json.loads(json.dumps(line if self.weights is None else {**line, "weights": self.weights}))
        try:
            with appended_here(self.path) as file:
                _drop_cut_off(file)
                file.write(json.dumps({**line, "sha256": digest_of(line)}).encode() + b"\n")
        except OSError as error:
            if not self._told:
                say(f"{self.path} cannot be written ({error.strerror}): what is found out is not kept", error=True)
            self._told = True
        self._answers[_text(asked)] = line["asked"], line["found"]


def _drop_cut_off(file: BinaryIO) -> None:
    """Remove a last line without an end, if there is one."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 1))
    if file.read() not in (b"", b"\n"):
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


def _text(asked: Mapping[str, Any]) -> str:
    return json.dumps(dict(asked), sort_keys=True)
