"""Export: the model of a run without the blocks that its inference rule does not read."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from onward.core import Learner
from onward.runs.model import load_model, model_folder, save_model, truncate
from onward.storage.files import json_digest, read_json, write_json


@dataclass(frozen=True)
class Size:
    """How large a model is: blocks, numbers in the blocks' parameters, bytes of the weights file."""

    blocks: int
    parameters: int
    file_bytes: int


@dataclass(frozen=True)
class Export:
    """The result of an export: its inference rule, and the sizes of the whole model and of the exported one."""

    rule: str
    before: Size
    after: Size


def export_model(run: Path | str, out: Path | str, *, rule: str | None = None) -> Export:
    """Write the truncated model of a run folder or model folder to `out`, a new or empty folder.

    `out` also gets the run's recipe, if there is one, so that it can be evaluated. A rule that reads all
    blocks (the default rule unless named) keeps them. Raises ValueError if there is no model, for an unknown rule, or
    if `out` is not empty.
    """
    run, out = model_folder(Path(run)), Path(out)
    learner, spec = load_model(run)
    shorter, shorter_spec = truncate(learner, spec, rule)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} exists and is not an empty folder; name a new one with --out")
    new = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        config = _copy_config(run, out)
        save_model(out, shorter, shorter_spec, config=config)
    except BaseException:
        _take_back(out, new)
        raise
    return Export(shorter.default_rule, _size(learner, run), _size(shorter, out))


def _copy_config(run: Path, out: Path) -> str | None:
    """Copy a run's configuration, if there is one; return its digest."""
    if not (run / "config.json").exists():
        return None
    content = read_json(run / "config.json")
    write_json(out / "config.json", content)
    return json_digest(content)


def _take_back(out: Path, new: bool) -> None:
    """Remove the files of a failed export, so that it can be tried again."""
    with contextlib.suppress(OSError):
        for name in ("config.json", "model.safetensors", "model.json"):
            (out / name).unlink(missing_ok=True)
        if new:
            out.rmdir()


def _size(learner: Learner, folder: Path) -> Size:
    parameters = sum(p.numel() for block in learner.blocks for p in block.parameters())
    return Size(len(learner.blocks), parameters, (folder / "model.safetensors").stat().st_size)
