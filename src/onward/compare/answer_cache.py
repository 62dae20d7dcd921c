"""A cache of evaluations of a finished run, in its folder, so that nothing is computed twice."""

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


LineCheck = Callable[[dict[str, Any], dict[str, Any], str], None]


class AnswerCache:
    """A file of lines, each a question and its answer as JSON. A line that was cut off by a stop is ignored.

    Several processes may add lines. `weights` is the digest of the run's weights, which every line holds; None for runs
    older than digests, whose lines have none. `check` raises ValueError for a malformed question or answer.

    Raises ValueError naming file, line and field for a line that is damaged, edited or about another run.
    """

    def __init__(self, path: Path, check: LineCheck | None = None, *, weights: str | None = None):
        self.path, self.weights = path, weights
        self._warned = False
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
        """Iterate over questions with their answers, the oldest first."""
        return iter(self._answers.values())

    def get(self, question: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the answer, or None if it is not cached."""
        known = self._answers.get(_text(question))
        return None if known is None else known[1]

    def add(self, question: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """Add a line; where it cannot be written, as on a read-only disk, print that once. ValueError for a link."""
        line = {"asked": dict(question), "found": dict(answer)}
        line = json.loads(json.dumps(line if self.weights is None else {**line, "weights": self.weights}))
        try:
            with appended_here(self.path) as file:
                _drop_cut_off(file)
                file.write(json.dumps({**line, "sha256": digest_of(line)}).encode() + b"\n")
        except OSError as error:
            if not self._warned:
                say(f"{self.path} cannot be written ({error.strerror}): evaluations are not cached", error=True)
            self._warned = True
        self._answers[_text(question)] = line["asked"], line["found"]


def _drop_cut_off(file: BinaryIO) -> None:
    """Remove a last line without an end, if there is one."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 1))
    if file.read() not in (b"", b"\n"):
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


def _text(question: Mapping[str, Any]) -> str:
    return json.dumps(dict(question), sort_keys=True)
