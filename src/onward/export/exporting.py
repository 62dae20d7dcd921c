"""Export: a folder with a model for one runtime, and a card that describes it."""

import os
import secrets
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from torch import Tensor

from onward.core import LOST_SHARE, Learner, common_defaults, gradients_on
from onward.data import load
from onward.export.c import c_files
from onward.export.card import card
from onward.export.javascript import javascript_files
from onward.export.page import LESSONS, page, rehearsal
from onward.export.plain import Plain
from onward.export.portable import write_module, write_onnx, write_torch
from onward.export.program import Model, open_model
from onward.export.step import Learning
from onward.parts.prepare import StandardizeValues
from onward.runs import RunFolder, export_model
from onward.runs.model import model_folder
from onward.storage.files import write_json

Format = Literal["onward", "torch", "onnx", "c", "js", "page", "module"]


@dataclass(frozen=True)
class Exported:
    """Result of an export: the size of each file in bytes, and the memory of plain loops."""

    rule: str
    blocks: int
    files: dict[str, int]
    memory: dict[str, int]


def export(
    run: Learner | Path | str,
    out: Path | str,
    *,
    format: Format = "onward",
    rule: str | None = None,
    learning: Learning | None = None,
) -> Exported:
    """Write a learner, or the model of a run folder or model folder, to `out`, a new or empty folder, for one runtime.

    The page of a run also trains on images of its training split; a learner has none. `rule` is the default rule unless
    given; blocks that it does not read are left out. `learning` adds the training step. Raises ValueError for a model,
    rule or method that the format does not support; then nothing is written.
    """
    if format not in get_args(Format):
        raise ValueError(f"unknown format {format!r}: take one of {', '.join(get_args(Format))}")
    if learning is not None and format in ("onward", "module"):
        raise ValueError(f"--format {format} holds no training step: take torch, onnx, c or js with --learning")
    if not isinstance(run, Learner | Path | str):
        raise ValueError(
            f"export takes a learner or the folder of a run, got {type(run).__name__}: export a module of your own, "
            "such as that of LocalModel.module(), by torch.export or torch.onnx"
        )
    if isinstance(run, Learner):
        with tempfile.TemporaryDirectory() as kept:  # saved and loaded, as a run's model is
            run.save(kept)
            return export(kept, out, format=format, rule=rule, learning=learning)
    if format == "onward":
        kept = export_model(run, out, rule=rule)
        return Exported(kept.rule, kept.after.blocks, _sizes(Path(out)), {})
    out, model = Path(out), open_model(run, rule)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} exists and is not an empty folder; name a new one with --out")
    _check_width(model)
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.parent / f".{out.name}-{secrets.token_hex(4)}"
    draft.mkdir()
    try:
        memory = write_files(model, draft, format, learning, kept=_kept(run, model) if format == "page" else None)
        os.replace(draft, out)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return Exported(model.rule, len(model.learner.blocks), _sizes(out), memory)


def _kept(run: Path | str, model: Model) -> tuple[Tensor, Tensor] | None:
    """Return training images of the run for a page to train on again; None for a model without a run."""
    folder = model_folder(Path(run))
    if not (folder / "config.json").exists():
        return None
    return rehearsal(load(RunFolder.open(folder).recipe().data), model.spec.shape)


def _check_width(model: Model) -> None:
    """Raise ValueError for a model of numbers whose differences are lost in 32 bits, such as times in seconds."""
    prepare = model.learner.prepare
    if not isinstance(prepare, StandardizeValues) or model.form.kind == "tokens":
        return
    mean, deviation = prepare.mean.flatten(), prepare.deviation.flatten().double()
    lost = mean.abs() * 2.0**-24 > LOST_SHARE * deviation
    if lost.any():
        k = int(lost.int().argmax())
        name = f"column {model.features[k]!r}" if model.features else f"channel {k}"
        raise ValueError(
            f"the numbers of {name} are near {float(mean[k]):.10g} and differ by {float(deviation[k]):g}, which is "
            "lost in the 32 bits that an exported model takes: subtract a constant from them before the training, "
            "or use the run itself (onward.load)"
        )


@common_defaults()
def write_files(
    model: Model,
    folder: Path,
    format: Format,
    learning: Learning | None,
    *,
    kept: tuple[Tensor, Tensor] | None = None,
) -> dict[str, int]:
    """Write a model, its card and its description into a folder; return the memory of plain loops, in bytes.

    A page always learns; `kept`: images and labels that it trains on again.
    """
    memory: dict[str, int] = {}
    state: dict[str, list[str]] = {}
    if format == "page" and learning is None:
        learning = LESSONS
    with gradients_on():
        if format == "torch":
            state = write_torch(model, folder, learning)
        elif format == "onnx":
            write_onnx(model, folder, learning)
        elif format == "module":
            write_module(model, folder)
        elif format == "page":
            assert learning is not None
            text, result = page(model, learning, kept)
            memory = memory_of(result)
            (folder / "index.html").write_text(text, encoding="utf-8")
        else:
            texts, result = (c_files if format == "c" else javascript_files)(model, learning)
            memory = memory_of(result)
            for name, text in texts.items():
                (folder / name).write_text(text, encoding="utf-8")
    write_json(folder / "export.json", _description(model, format, learning, memory, state))
    (folder / "README.md").write_text(card(model, format, learning, memory), encoding="utf-8")
    return memory


def memory_of(result: Plain) -> dict[str, int]:
    """Return the bytes of a model as loops: constants, weights, optimizer state, working memory."""
    return {
        "constants": 4 * sum(values.size for values in result.fixed.values()),
        "weights": 4 * sum(values.size for values in result.weights.values()),
        "optimizer": 4 * sum(result.moments.values()),
        "working": 4 * result.working,
    }


def _description(
    model: Model, format: Format, learning: Learning | None, memory: dict[str, int], state: dict[str, list[str]]
) -> dict[str, Any]:
    spec = model.spec
    return {
        "format": f"onward-export-{format}-1",
        "model": model.name,
        "algorithm": type(spec.algorithm).__name__,
        "net": type(spec.net).__name__,
        "rule": model.rule,
        "class_names": list(spec.class_names),
        "task": model.task,
        "kind": model.form.kind,
        "shape": list(spec.shape),
        "pixels": [0, 1] if model.form.unit else None,
        "features": model.features,
        "learning": None if learning is None else asdict(learning),
        "memory_bytes": memory,
        "state": state,
    }


def _sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
