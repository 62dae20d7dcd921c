"""What a model answers, as text, JSON and rows of a file: a class, numbers or several labels."""
# C classes, numbers or labels

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from onward.cli.arguments import check_place
from onward.cli.tables import show_table
from onward.core import Task
from onward.screen import say
from onward.storage.disk import replace_all


class Answers:
    """Answers to inputs that are called `noun`: each is printed as it comes, or all go into a file at the end."""

    def __init__(self, task: Task, names: Sequence[str], rule: str, noun: str):
        self.task, self.names, self.rule, self.noun = task, names, rule, noun
        self.rows: list[list[str]] = []

    @property
    def heads(self) -> list[str]:
        """The names of the columns of a file."""
        shares = [f"p({name})" for name in self.names]
        first = "row" if self.noun == "rows" else "file"
        if self.task == "values":
            return [first, *self.names]
        return [first, "class", "confidence", *shares] if self.task == "classes" else [first, "labels", *shares]

    def add(self, name: str, scores: Tensor) -> None:
        """Note the answer to an input, by its scores [C]."""
        if self.task == "values":
            self.rows.append([name, *(f"{value:.9g}" for value in scores.tolist())])
            return
        shares = scores.softmax(dim=0) if self.task == "classes" else scores.sigmoid()
        cells = [f"{share:.6g}" for share in shares.tolist()]
        best = int(shares.argmax())
        said = [self.names[best], cells[best]] if self.task == "classes" else [";".join(self._labels(scores))]
        self.rows.append([name, *said, *cells])

    def print_json(self, name: str, scores: Tensor, blocks: Tensor) -> None:
        """Print the answer to an input as a line of JSON, with the scores of each block of it."""
        row: dict[str, Any] = {"row" if self.noun == "rows" else "image": name, "rule": self.rule}
        if self.task == "classes":
            confidence = scores.softmax(dim=0)
            best = int(confidence.argmax())
            row |= {"class": self.names[best], "confidence": float(confidence[best])}
        elif self.task == "values":
            row |= {"values": dict(zip(self.names, scores.tolist(), strict=True))}
        else:
            row |= {"labels": self._labels(scores), "probabilities": scores.sigmoid().tolist()}
        print(json.dumps({**row, "block_scores": blocks.tolist(), "class_names": list(self.names)}, allow_nan=False))

    def print_blocks(self, name: str, scores: Tensor, blocks: Tensor, top: int) -> None:
        """Print the class of an input, and the scores of its `top` classes in each block."""
        confidence = scores.softmax(dim=0)
        best = int(confidence.argmax())
        first = [int(c) for c in scores.topk(min(top, len(self.names))).indices]
        sure = f"confidence {float(confidence[best]):.1%}, softmax of the {self.rule} scores"
        rows = [(f"block {block}", [f"{float(row[c]):.3f}" for c in first]) for block, row in enumerate(blocks)]
        show_table(f"{name}: {self.names[best]} ({sure})", ["scores", *[self.names[c] for c in first]], rows)

    def show(self) -> None:
        """Print all answers that were noted as one table, without the probabilities of each class."""
        if self.rows:
            count = {"classes": 3, "values": 1 + len(self.names), "labels": 2}[self.task]
            rows = [(name, cells[: count - 1]) for name, *cells in self.rows]
            show_table(f"predicted by {self.rule}", self.heads[:count], rows)

    def write(self, path: Path) -> None:
        """Write all answers into a file of comma-separated values, and print its path."""

        def fill(path: Path) -> None:
            with open(path, "w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(self.heads)
                writer.writerows(self.rows)

        replace_all({path: fill})
        say(f"{len(self.rows):,} {self.noun} in {path}", error=True)

    def _labels(self, scores: Tensor) -> list[str]:
        return [name for name, score in zip(self.names, scores.tolist(), strict=True) if score > 0]


def check_writable(path: Path, inputs: Sequence[str]) -> None:
    """Raise ValueError for a file that could not be written at the end, and for one that holds something else."""
    check_place("csv", path)
    if not path.exists():
        return
    read = any(Path(name).expanduser().exists() and path.samefile(Path(name).expanduser()) for name in inputs)
    if read or not _holds_answers(path):
        other = "is what the predictions are made for" if read else "is there and holds no predictions"
        raise ValueError(f"--csv {path} {other}: name another file")


def _holds_answers(path: Path) -> bool:
    """Whether a file is empty, or begins as one that `Answers` wrote."""
    try:
        with open(path, "rb") as file:
            return file.readline().partition(b",")[0].strip() in (b"", b"file", b"row")
    except OSError:
        return False
