"""Checkpoints that any placement can resume: one file from one process, or a file per block from a pipeline."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from onward.runs.disk import make_folder
from onward.runs.files import read_json, read_tensors, write_json, write_tensors

_WHOLE, _PARTS, _SEAL = "checkpoint.safetensors", "checkpoint", "latest.json"


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
    write_tensors(folder / f"{name}.safetensors", tensors, notes)


def seal(run: Path, spot: Spot, num_blocks: int) -> None:
    """Declare a checkpoint complete, all of whose parts are written, and drop those before it.

    A later one may be there: the first stages run ahead of the last.
    """
    write_json(run / _PARTS / _SEAL, {**vars(spot), "blocks": num_blocks})
    (run / _WHOLE).unlink(missing_ok=True)
    for folder in (run / _PARTS).iterdir():
        numbers = re.fullmatch(r"(\d+)-(\d+)", folder.name)
        if numbers and folder.is_dir() and Spot(int(numbers[1]), int(numbers[2])) < spot:
            shutil.rmtree(folder, ignore_errors=True)  # which takes no link for a folder


def latest(run: Path) -> tuple[Spot, str] | None:
    """Return where the last complete checkpoint was made, and which kind it is; None if there is none."""
    found = []
    if (run / _WHOLE).exists():
        notes = read_tensors(run / _WHOLE)[1]
        found.append((Spot(notes["epoch"], notes["step_in_epoch"]), _WHOLE))
    if (run / _PARTS / _SEAL).exists():
        sealed = read_json(run / _PARTS / _SEAL)
        found.append((Spot(sealed["epoch"], sealed["step_in_epoch"]), _PARTS))
    return max(found, default=None)


def read(run: Path, kind: str, owned: range | None = None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint as `Training.state` returns it; of the blocks only `owned`, unless that is None.

    Raises ValueError if a part is missing or damaged.
    """
    if kind == _WHOLE:
        tensors, notes = read_tensors(run / _WHOLE)
        return {name: value for name, value in tensors.items() if _wanted(name, owned)}, notes
    sealed = read_json(run / _PARTS / _SEAL)
    folder = run / _PARTS / Spot(sealed["epoch"], sealed["step_in_epoch"]).folder
    tensors, notes = read_tensors(folder / "rest.safetensors")
    sums, bad = torch.zeros(sealed["blocks"], dtype=torch.float64), torch.full((sealed["blocks"],), -1)
    for k in range(sealed["blocks"]) if owned is None else owned:
        block, _ = read_tensors(folder / f"block-{k}.safetensors")
        sums[k], bad[k] = block.pop(f"loss_sum.{k}"), block.pop(f"first_bad.{k}")
        tensors |= block
    return tensors | {"loss_sum": sums, "first_bad": bad}, notes


def drop(run: Path) -> None:
    """Remove every checkpoint of a run."""
    (run / _WHOLE).unlink(missing_ok=True)
    shutil.rmtree(run / _PARTS, ignore_errors=True)


def _wanted(name: str, owned: range | None) -> bool:
    head, _, rest = name.removeprefix("learner.").partition(".")
    return owned is None or head not in ("blocks", "optimizer") or int(rest.partition(".")[0]) in owned
