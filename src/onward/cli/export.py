"""The command `onward export`: a model without the blocks that its inference rule does not read, for onward or another
runtime."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from onward.cli.arguments import parse
from onward.cli.positional import model_folder
from onward.core import Count, NonNegative, ShareBelowOne
from onward.runs import export_model
from onward.screen import say

if TYPE_CHECKING:
    from onward.export import Learning


@dataclass(frozen=True)
class ExportArguments:
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Run folder."""
    out: Path
    """New folder for the model."""
    format: Literal["onward", "torch", "onnx", "c", "js", "page", "module"] = "onward"
    """onward: for predict and evaluate; torch: torch.export; module: torch code alone; c and js: no runtime;
    page: one HTML file that learns."""
    rule: str | None = None
    """Inference rule to keep; the run's default rule unless named."""
    learning: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Export the training step too (torch, onnx, c, js; a page always has it)."""
    optimizer: Literal["adamw", "sgd"] | None = None
    """Optimizer of the step: adamw, for a page sgd, unless named."""
    momentum: ShareBelowOne | None = None
    """Momentum of sgd: 0.9, for a page 0, unless named."""
    weight_decay: NonNegative | None = None
    """Weight decay of the step: 0 unless named."""
    batch_size: Count | None = None
    """Images of a training step: 1, for a page 16, unless named."""
    without_dropout: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Learn without the dropout that the network was trained with, as a page always does."""


def run(words: Sequence[str]) -> None:
    """Carry out `onward export`. Raises ValueError for a user's error."""
    order = parse(ExportArguments, "export", words)
    _check_step(order)
    if order.format == "onward" and not order.learning:
        _export_folder(order)
        return
    from onward.export import export  # the exporters take a second to import

    done = export(model_folder(order.run), order.out, format=order.format, rule=order.rule, learning=_learning(order))
    say(f"rule          {done.rule}, the only one that is kept")
    say(f"blocks        {done.blocks}")
    for name, size in done.files.items():
        say(f"{name:<22} {size:>12,} bytes")
    for name, size in done.memory.items():
        say(f"memory: {name:<14} {size:>12,} bytes")
    say(f"model         {order.out}")


def _step_settings(order: ExportArguments) -> dict[str, Any]:
    """Return the settings of the training step that the command names."""
    named = {name: getattr(order, name) for name in ("optimizer", "momentum", "weight_decay", "batch_size")}
    return {k: v for k, v in named.items() if v is not None} | (
        {"without_dropout": True} if order.without_dropout else {}
    )


def _check_step(order: ExportArguments) -> None:
    """Raise ValueError for a setting of the training step where there is no step, or another optimizer."""
    named = _step_settings(order)
    if named and not order.learning and order.format != "page":
        has_step = order.format in ("torch", "onnx", "c", "js")
        remedy = "add --learning" if has_step else f"--format {order.format} has none: take torch, onnx, c or js"
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in named)
        raise ValueError(f"{flags}: {'a setting' if len(named) == 1 else 'settings'} of the training step; {remedy}")
    if "momentum" in named and (named.get("optimizer") or ("sgd" if order.format == "page" else "adamw")) != "sgd":
        raise ValueError(f"--momentum {order.momentum:g} is a setting of sgd: take --optimizer sgd, or leave it out")


def _learning(order: ExportArguments) -> "Learning | None":
    from onward.export import Learning
    from onward.export.page import LESSONS

    if order.format != "page" and not order.learning:
        return None
    named = _step_settings(order)
    if named.get("optimizer") == "adamw":
        named["momentum"] = None
    return replace(LESSONS if order.format == "page" else Learning(), **named)


def _export_folder(order: ExportArguments) -> None:
    export = export_model(model_folder(order.run), order.out, rule=order.rule)
    before, after = export.before, export.after
    say(f"rule          {export.rule}, the only one that is kept")
    say(f"blocks        {before.blocks} -> {after.blocks}")
    say(f"parameters    {before.parameters:,} -> {after.parameters:,}")
    say(f"weights file  {before.file_bytes:,} -> {after.file_bytes:,} bytes")
    say(f"model         {order.out}")
