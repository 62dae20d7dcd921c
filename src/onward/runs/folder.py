"""The run folder: the files of a run, and how they are written and read."""

import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from math import nan
from pathlib import Path
from typing import Any

from torch import Tensor

from onward.core import EpochDone, Learner
from onward.recipes import Recipe, former
from onward.runs import checkpoints
from onward.runs.codec import decode, encode
from onward.runs.identity import Identity, identity_of
from onward.runs.model import ModelSpec, check_digests, save_model
from onward.runs.result import RunEnvironment, RunResult, Seals, read_result, result_of
from onward.screen import say
from onward.storage.disk import make_folder, sweep
from onward.storage.files import json_digest, read_header, read_json, write_json
from onward.storage.lines import Metrics
from onward.storage.typed import from_json, to_json


class RunFolder:
    """`config.json`, `environment.json`, `metrics.jsonl`, `checkpoint.safetensors`, the model, and `result.json`."""

    def __init__(self, path: Path):
        self.path = path

    @classmethod
    def create(cls, parent: Path, recipe: Recipe, environment: RunEnvironment) -> "RunFolder":
        """Create the next free folder `parent/RECIPE/seed-N[-K]`, atomically with its configuration."""
        base = parent / recipe.name
        draft = base / f".new-{secrets.token_hex(4)}"
        try:
            parent.mkdir(parents=True, exist_ok=True)
            make_folder(base)
            draft.mkdir()
        except OSError as error:
            raise OSError(f"no run folder can be made in {base}: {error.strerror}; name another --runs-dir") from error
        try:
            write_json(draft / "config.json", {"run": secrets.token_hex(16), "recipe": encode(recipe)})
            tie = {"config_sha256": identity_of(draft).digest}
            write_json(draft / "environment.json", {**to_json(environment), **tie})
            return cls(_rename_to_free(draft, base, f"seed-{recipe.seed}"))
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Open an existing run. Raises ValueError if there is none at `path`."""
        if path.is_file():
            raise ValueError(f"{path} is a file; name the folder that it lies in: {path.parent}")
        if not path.exists():
            raise ValueError(f"{path} does not exist; name the folder of a run, such as runs/RECIPE/seed-0")
        if not (path / "config.json").exists():
            raise ValueError(f"{path} is not a run folder: it has no config.json")
        return cls(path)

    def recipe(self) -> Recipe:
        """Read the recipe that this run carries out."""
        path = self.path / "config.json"
        return decode(read_json(path).get("recipe"), Recipe, f"the recipe in {path}")

    @cached_property
    def identity(self) -> Identity:
        """The identity of this run, read once."""
        return identity_of(self.path)

    @cached_property
    def _metrics(self) -> Metrics:
        return Metrics(self.path / "metrics.jsonl", self.identity.digest, old=self.identity.old)

    def environment(self) -> RunEnvironment:
        """Return the environment in which the run began. Raises ValueError for a file that is damaged or of another
        run."""
        path = self.path / "environment.json"
        content = read_json(path)
        self.identity.check(content, path)
        content.pop("config_sha256", None)
        return from_json(content, RunEnvironment, str(path))

    def save_checkpoint(self, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:
        checkpoints.save_whole(self.path, tensors, notes)

    def load_checkpoint(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return the last checkpoint, of one process or of many; None if the run was stopped before its first."""
        checkpoint = checkpoints.latest(self.path)
        return None if checkpoint is None else checkpoints.read(self.path, checkpoint[1])

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        self._metrics.append(row)

    def metrics(self) -> list[dict[str, Any]]:
        """Read all whole rows; a last row that was cut off by a stop is left out. ValueError if one is damaged."""
        return self._metrics.rows()

    def history(self) -> tuple[EpochDone, ...]:
        """Return the epochs that are done; values missing in older runs are NaN or empty.

        Raises ValueError if a row is damaged.
        """
        return tuple(epoch_of(row) for row in self.metrics())

    def keep_metrics(self, epochs: int, *, resumed: bool) -> None:
        """Drop the rows of epochs that a resumed run repeats; print a message if a checkpoint or rows are missing."""
        dropped = self._metrics.keep(epochs)
        missing = epochs - len(self.metrics())
        if dropped and not resumed:
            say(
                f"{self.path} has no checkpoint: the training begins again, also the {dropped} epochs in metrics.jsonl",
                error=True,
            )
        if missing > 0:
            say(f"{self.path / 'metrics.jsonl'} lacks {missing} of the {epochs} epochs that are done", error=True)

    def finish(self, learner: Learner, spec: ModelSpec, result: RunResult) -> RunResult:
        """Write the model, then the result with the digests of all files; delete the checkpoint. Return the result."""
        save_model(self.path, learner, spec, config=self.identity.digest, result=_unsealed_digest(result.to_json()))
        model = json_digest(read_json(self.path / "model.json"))
        sealed = replace(result, seals=Seals(self.identity.digest, model, self._metrics.digest()))
        write_json(self.path / "result.json", sealed.to_json())
        checkpoints.drop(self.path)
        sweep(self.path)
        return sealed

    def result(self) -> RunResult | None:
        """Return the result of a finished run, or None.

        Raises ValueError naming the file that is damaged, edited, of another run, or gone.
        """
        path = self.path / "result.json"
        if not path.exists():
            self._check_unfinished()
            return None
        content, recipe = read_json(path), self.recipe()
        result = result_of(content, str(path))
        trained = decode(result.config, Recipe, f"config in {path}")
        if trained != recipe or (result.recipe, result.seed) != (recipe.name, recipe.seed):
            raise ValueError(f"{path} does not belong to {self.path / 'config.json'}: it is of another run")
        if result.seals is not None or not self.identity.old:
            self._check_seals(path, result.seals, content)
        return result

    def _check_unfinished(self) -> None:
        """Raise ValueError for the model of a finished run whose result is gone: resuming would overwrite it.

        A run that was killed between model and result still has its last checkpoint: only these two are written again.
        """
        if not (self.path / "model.json").exists() or checkpoints.latest(self.path) is not None:
            return
        if not (self.path / "environment.json").exists():
            raise ValueError(f"{self.path} is an exported model, which has no result: name the run that it comes from")
        raise ValueError(
            f"{self.path} holds the model of a finished run, but its result.json is gone: restore that file, "
            "or train the recipe again in a new folder; to train it again here, move model.json away"
        )

    def untied(self) -> bool:
        """Whether there is a result from before a run's files were tied to each other."""
        path = self.path / "result.json"
        return path.exists() and read_result(path).seals is None

    def weights(self) -> str | None:
        """Return the digest of a finished run's weights; None for a run from before there were any."""
        content = read_json(self.path / "model.json")
        return content.get("weights_sha256")

    def _check_seals(self, path: Path, seals: Seals | None, result: Mapping[str, Any]) -> None:
        if seals is None:
            raise ValueError(f"{path} has no seals: it is not from onward, or from another version")
        self.identity.check({"config_sha256": seals.config}, path)
        described = self.path / "model.json"
        if described.exists():  # weights may be deleted to save space
            content = read_json(described)
            if json_digest(content) != seals.model:
                raise ValueError(f"{described} does not belong to {path}: it is of another run, or was made again")
            if content.get("result_sha256") not in (None, _unsealed_digest(result)):
                raise ValueError(f"{path} does not belong to {described}: its numbers are of another run, or edited")
            check_digests(self.path, content, read_header(self.path / "model.safetensors").digest)
        if self._metrics.digest() != seals.metrics:
            raise ValueError(
                f"{self.path / 'metrics.jsonl'} does not belong to {path}: lines are missing, or of another run"
            )


def _unsealed_digest(result: Mapping[str, Any]) -> str:
    """Return the digest of a result's file without its seals, which are made after it."""
    return json_digest({name: value for name, value in result.items() if name != "seals"})


def runs_of(recipe: Recipe, parent: Path) -> list[Path]:
    """Return the paths of the runs below `parent` that have a recipe's name, or one that it had before, and its seed.

    The latest is the last.
    """
    paths: list[tuple[int, int, Path]] = []
    for rank, name in enumerate((*reversed(former(recipe.name)), recipe.name)):
        for path in (parent / name).glob(f"seed-{recipe.seed}*"):
            if match := re.fullmatch(rf"seed-{recipe.seed}(?:-(\d+))?", path.name):
                paths.append((rank, int(match[1] or 1), path))
    return [path for _, _, path in sorted(paths)]


def epoch_of(row: Mapping[str, Any]) -> EpochDone:
    """Return a row of metrics as an epoch; values that an older run did not record are NaN or empty."""
    return EpochDone(
        epoch=row["epoch"],
        losses={int(block): loss for block, loss in row["losses"].items()},
        validation_accuracy=row["validation_accuracy"],
        block_accuracy=tuple(row["block_accuracy"]),
        images_per_second=row.get("images_per_second", nan),
        train_seconds=row["train_seconds"],
        peak_memory_bytes=row.get("peak_memory_bytes", 0),
        memory_meter=row.get("memory_meter", ""),
        task=row.get("task", "classes"),
    )


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
