"""The command `onward export`: a model without the blocks that its inference rule does not read, for onward or another
runtime."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from onward.cli.arguments import parse
from onward.cli.positional import model_folder
from onward.core import Count, NonNegative, ShareBelowOne
from onward.runs import export_model
from onward.screen import say


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
    """Export the training step too (torch, onnx, c, js)."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """Optimizer of the step."""
    momentum: ShareBelowOne = 0.9
    """Momentum of sgd."""
    weight_decay: NonNegative = 0.0
    """Weight decay of the step."""
    batch_size: Count = 1
    """Images of a training step."""
    without_dropout: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Learn without the dropout that the network was trained with."""


def run(words: Sequence[str]) -> None:
    """Carry out `onward export`. Raises ValueError for a user's error."""
    order = parse(ExportArguments, "export", words)
    if order.format == "onward" and not order.learning:
        _export_folder(order)
        return
    from onward.export import Learning, export  # the exporters take a second to import

    step = None
    if order.learning:
        step = Learning(order.optimizer, order.momentum, order.weight_decay, order.batch_size, order.without_dropout)
    done = export(model_folder(order.run), order.out, format=order.format, rule=order.rule, learning=step)
    say(f"rule          {done.rule}, the only one that is kept")
    say(f"blocks        {done.blocks}")
    for name, size in done.files.items():
        say(f"{name:<22} {size:>12,} bytes")
    for name, size in done.memory.items():
        say(f"memory: {name:<14} {size:>12,} bytes")
    say(f"model         {order.out}")


def _export_folder(order: ExportArguments) -> None:
    export = export_model(model_folder(order.run), order.out, rule=order.rule)
    before, after = export.before, export.after
    say(f"rule          {export.rule}, the only one that is kept")
    say(f"blocks        {before.blocks} -> {after.blocks}")
    say(f"parameters    {before.parameters:,} -> {after.parameters:,}")
    say(f"weights file  {before.file_bytes:,} -> {after.file_bytes:,} bytes")
    say(f"model         {order.out}")
