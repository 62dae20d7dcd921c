"""Checkpoints that any placement can resume: one file from one process, or a file per block from a pipeline."""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from onward.runs.identity import identity_of
from onward.storage.disk import make_folder
from onward.storage.files import read_json, read_tensors, write_json, write_tensors
from onward.storage.forms import check_object, naming

_WHOLE, _PARTS, _SEAL = "checkpoint.safetensors", "checkpoint", "latest.json"
_NOTES: Mapping[str, Any] = {"epoch": int, "step_in_epoch": int, "epoch_seconds": float, "train_seconds": float}
_MOST_BLOCKS = 100_000


@dataclass(frozen=True, order=True)
class Spot:
    """Where in a training a checkpoint was made; a later spot is greater."""

    epoch: int
    step_in_epoch: int

    @property
    def folder(self) -> str:
        return f"{self.epoch}-{self.step_in_epoch}"


def save_part(run: Path, spot: Spot, name: str, tensors: dict[str, Tensor], notes: dict[str, Any]) -> None:
    """Write one part of a checkpoint, such as a block. It counts once the checkpoint is sealed."""
    folder = run / _PARTS / spot.folder
    make_folder(folder.parent)
    make_folder(folder)
    tie = {"config_sha256": identity_of(run).digest, "spot": spot.folder}
    write_tensors(folder / f"{name}.safetensors", tensors, notes | tie)


def save_blocks(run: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, Any], owned: range) -> None:
    """Write the blocks `owned` of a state that has at least these, each as a part."""
    spot = Spot(notes["epoch"], notes["step_in_epoch"])
    for k in owned:
        heads = (f"learner.blocks.{k}.", f"optimizer.{k}.")
        block = {name: tensor for name, tensor in tensors.items() if name.startswith(heads)}
        block |= {f"loss_sum.{k}": tensors["loss_sum"][k], f"first_bad.{k}": tensors["first_bad"][k]}
        save_part(run, spot, f"block-{k}", block, {})


def save_rest(run: Path, tensors: Mapping[str, Tensor], notes: dict[str, Any], num_blocks: int) -> None:
    """Write the state that belongs to no block, and seal the checkpoint, whose blocks are all written."""
    spot = Spot(notes["epoch"], notes["step_in_epoch"])
    of_blocks = ("learner.blocks.", "optimizer.", "loss_sum", "first_bad")
    save_part(run, spot, "rest", {name: t for name, t in tensors.items() if not name.startswith(of_blocks)}, notes)
    seal(run, spot, num_blocks)


def save_whole(run: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:
    """Write a checkpoint of one process."""
    write_tensors(run / _WHOLE, tensors, {**notes, "config_sha256": identity_of(run).digest})


def seal(run: Path, spot: Spot, num_blocks: int) -> None:
    """Declare a checkpoint complete, all of whose parts are written, and drop those before it.

    A later one may be there: the first stages run ahead of the last.
    """
    tie = {"config_sha256": identity_of(run).digest}
    write_json(run / _PARTS / _SEAL, {**vars(spot), "blocks": num_blocks, **tie})
    (run / _WHOLE).unlink(missing_ok=True)
    for folder in (run / _PARTS).iterdir():
        numbers = re.fullmatch(r"(\d+)-(\d+)", folder.name)
        if numbers and folder.is_dir() and Spot(int(numbers[1]), int(numbers[2])) < spot:
            shutil.rmtree(folder, ignore_errors=True)  # which takes no link for a folder


def latest(run: Path) -> tuple[Spot, str] | None:
    """Return the spot and the kind of the last complete checkpoint; None if there is none."""
    spots = []
    if (run / _WHOLE).exists():
        notes = _whole(run)[1]
        spots.append((Spot(notes["epoch"], notes["step_in_epoch"]), _WHOLE))
    if (run / _PARTS / _SEAL).exists():
        spots.append((_sealed(run)[0], _PARTS))
    return max(spots, default=None)


def read(run: Path, kind: str, owned: range | None = None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint as `Training.state` returns it; of the blocks only `owned`, unless that is None.

    Raises ValueError if a part is missing or damaged.
    """
    if kind == _WHOLE:
        tensors, notes = _whole(run)
        return {name: value for name, value in tensors.items() if _wanted(name, owned)}, notes
    spot, blocks = _sealed(run)
    tensors, notes = _part(run, spot, "rest")
    check_object(notes, _NOTES, f"the notes in {run / _PARTS / spot.folder / 'rest.safetensors'}")
    sums, bad = torch.zeros(blocks, dtype=torch.float64), torch.full((blocks,), -1)
    for k in range(blocks) if owned is None else owned:
        block, _ = _part(run, spot, f"block-{k}")
        with naming(f"{run / _PARTS / spot.folder / f'block-{k}.safetensors'} is no block of a checkpoint"):
            sums[k], bad[k] = block.pop(f"loss_sum.{k}"), block.pop(f"first_bad.{k}")
        tensors |= block
    return tensors | {"loss_sum": sums, "first_bad": bad}, notes


def drop(run: Path) -> None:
    """Remove every checkpoint of a run."""
    (run / _WHOLE).unlink(missing_ok=True)
    shutil.rmtree(run / _PARTS, ignore_errors=True)


def _whole(run: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors, notes = read_tensors(run / _WHOLE)
    check_object(notes, _NOTES, f"the notes in {run / _WHOLE}")
    identity_of(run).check(notes, run / _WHOLE)
    return tensors, notes


def _sealed(run: Path) -> tuple[Spot, int]:
    """Return spot and number of blocks of the last complete checkpoint of a pipeline."""
    path = run / _PARTS / _SEAL
    sealed = read_json(path)
    check_object(sealed, {"epoch": int, "step_in_epoch": int, "blocks": int}, str(path))
    if not 1 <= sealed["blocks"] <= _MOST_BLOCKS:
        raise ValueError(f"blocks in {path} must be from 1 to {_MOST_BLOCKS}, got {sealed['blocks']}")
    identity_of(run).check(sealed, path)
    return Spot(sealed["epoch"], sealed["step_in_epoch"]), sealed["blocks"]


def _part(run: Path, spot: Spot, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    path = run / _PARTS / spot.folder / f"{name}.safetensors"
    tensors, notes = read_tensors(path)
    identity_of(run).check(notes, path)
    if notes.get("spot", spot.folder) != spot.folder:
        raise ValueError(f"{path} is of another step: it was copied there from elsewhere")
    return tensors, notes


def _wanted(name: str, owned: range | None) -> bool:
    head, _, rest = name.removeprefix("learner.").partition(".")
    return owned is None or head not in ("blocks", "optimizer") or int(rest.partition(".")[0]) in owned
