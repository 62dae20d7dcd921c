"""Append-only files: each line is JSON with a digest of itself and of all earlier lines of the same run."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from onward.storage.disk import open_to_append, read_plain, write_text
from onward.storage.forms import check_object
from onward.storage.strict_json import parse

_ROW: Mapping[str, Any] = {
    "epoch": int,
    "losses": dict[str, float],
    "validation_accuracy": float,
    "block_accuracy": list[float],
    "train_seconds": float,
}
_REMEDY = "restore the file of this run, or delete it to continue without it"


def whole_lines(path: Path, remedy: str, *, infinite: bool = False) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the place and the object of every line; an incomplete last line counts as not written.

    Raises ValueError naming file, line and remedy for a line that is no JSON object.
    """
    text = read_plain(path) if path.exists() else b""
    for number, line in enumerate(text.split(b"\n")[:-1], 1):
        where = f"line {number} of {path}"
        try:
            content = parse(line, where, infinite=infinite)
            check_object(content, {}, where)
        except ValueError as error:
            raise ValueError(f"{error}; {remedy}") from None
        yield where, content


def digest_of(content: Mapping[str, Any], before: str = "") -> str:
    """Return the digest of a line after the line that has the digest `before`."""
    return hashlib.sha256(before.encode() + json.dumps(dict(content), sort_keys=True).encode()).hexdigest()


class Metrics:
    """Metrics of a run, a line per epoch, the first one tied to the run's configuration.

    Lines without a digest were written before digests existed: only `old` runs may have them.
    """

    def __init__(self, path: Path, start: str, *, old: bool):
        self.path = path
        self._start, self._old = start, old
        self._last: str | None = None

    def rows(self) -> list[dict[str, Any]]:
        """Read all whole lines. Raises ValueError naming file, line and field for one that is damaged or foreign."""
        rows: list[dict[str, Any]] = []
        last = self._start
        for where, row in whole_lines(self.path, _REMEDY):
            said = row.pop("sha256", None)
            last = digest_of(row, last)
            if said != last and not (said is None and self._old):
                raise ValueError(f"{where} was edited, or is not of this run: {_REMEDY}")
            check_object(row, _ROW, where)
            if rows and row["epoch"] <= rows[-1]["epoch"]:
                raise ValueError(f"{where} is of epoch {row['epoch']}, which does not follow {rows[-1]['epoch']}")
            rows.append(row)
        self._last = last
        return rows

    def digest(self) -> str:
        """Return the digest of the last line, which covers all lines."""
        if self._last is None:
            self.rows()
        assert self._last is not None
        return self._last

    def append(self, row: Mapping[str, Any]) -> None:
        """Append a line. Raises ValueError for a link, OSError if it cannot be written."""
        line, last = self._line(row, self.digest())
        with open_to_append(self.path) as file:
            file.write(line.encode())
        self._last = last

    def keep(self, epochs: int) -> int:
        """Drop the rows of epochs from `epochs` on, which will be trained again; return how many there were."""
        rows = self.rows()
        kept = [row for row in rows if row["epoch"] < epochs]
        text, last = "", self._start
        for row in kept:
            line, last = self._line(row, last)
            text += line
        write_text(self.path, text)
        self._last = last
        return len(rows) - len(kept)

    @staticmethod
    def _line(row: Mapping[str, Any], before: str) -> tuple[str, str]:
        plain = json.loads(json.dumps(dict(row), allow_nan=False))  # numeric keys become text
        last = digest_of(plain, before)
        return json.dumps({**plain, "sha256": last}) + "\n", last
