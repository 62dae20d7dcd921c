"""The run folder: where each file of a run lies, and how it is written and read."""

import json
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from onward.recipes import Recipe
from onward.runs import checkpoints
from onward.runs.codec import decode, encode
from onward.runs.disk import make_folder, open_to_append, read_plain, write_text
from onward.runs.files import read_json, write_json, write_tensors


class RunFolder:
    """`config.json`, `environment.json`, `metrics.jsonl`, `checkpoint.safetensors`, the model, and `result.json`."""

    def __init__(self, path: Path):
        self.path = path

    @classmethod
    def create(cls, parent: Path, recipe: Recipe, environment: Mapping[str, Any]) -> "RunFolder":
        """Make the next free folder `parent/RECIPE/seed-N[-K]`; it appears with its configuration or not at all."""
        base = parent / recipe.name
        draft = base / f".new-{secrets.token_hex(4)}"
        try:
            parent.mkdir(parents=True, exist_ok=True)
            make_folder(base)
            draft.mkdir()
        except OSError as error:
            raise OSError(f"no run folder can be made in {base}: {error.strerror}; name another --runs-dir") from error
        try:
            write_json(draft / "config.json", {"recipe": encode(recipe)})
            write_json(draft / "environment.json", environment)
            return cls(_rename_to_free(draft, base, f"seed-{recipe.seed}"))
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Open an existing run. Raises ValueError if there is none at `path`."""
        if not (path / "config.json").is_file():
            raise ValueError(f"{path} is not a run folder: it has no config.json")
        return cls(path)

    def recipe(self) -> Recipe:
        """Read the recipe that this run carries out."""
        path = self.path / "config.json"
        return decode(read_json(path).get("recipe"), Recipe, f"the recipe in {path}")

    def environment(self) -> dict[str, Any]:
        return read_json(self.path / "environment.json")

    def save_checkpoint(self, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:
        write_tensors(self.path / "checkpoint.safetensors", tensors, notes)

    def load_checkpoint(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return the last checkpoint, of one process or of many; None if the run was stopped before its first."""
        found = checkpoints.latest(self.path)
        return None if found is None else checkpoints.read(self.path, found[1])

    def drop_checkpoint(self) -> None:
        """A finished run is not resumed; its weights are in the model file."""
        checkpoints.drop(self.path)

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        with open_to_append(self.path / "metrics.jsonl") as file:
            file.write(json.dumps(dict(row)).encode() + b"\n")

    def metrics(self) -> list[dict[str, Any]]:
        """Read all whole rows; a last row that was cut off by a stop is left out. ValueError if one is damaged."""
        path = self.path / "metrics.jsonl"
        if not path.exists():
            return []
        rows = read_plain(path).split(b"\n")[:-1]  # what follows the last line end was never finished
        try:
            return [json.loads(row) for row in rows]
        except ValueError:
            raise ValueError(f"{path} holds a damaged row; delete that row to go on") from None

    def keep_metrics(self, epochs: int) -> None:
        """Drop the rows of epochs that a resumed run will do again."""
        path = self.path / "metrics.jsonl"
        rows = [row for row in self.metrics() if row["epoch"] < epochs]
        write_text(path, "".join(json.dumps(row) + "\n" for row in rows))

    def write_result(self, result: Mapping[str, Any]) -> None:
        write_json(self.path / "result.json", result)

    def result(self) -> dict[str, Any] | None:
        """Return the result of a finished run, or None."""
        path = self.path / "result.json"
        return read_json(path) if path.exists() else None


def _rename_to_free(draft: Path, base: Path, name: str) -> Path:
    for attempt in range(1, 10_000):
        target = base / (name if attempt == 1 else f"{name}-{attempt}")
        if target.exists():
            continue
        try:
            return draft.rename(target)
        except OSError:  # another process took the name in between
            if not target.exists():
                raise
    raise ValueError(f"{base} holds too many runs; move some away")
