"""The command `onward export`: a model without the blocks that its inference rule does not read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from onward.cli.arguments import parse
from onward.cli.known import model_folder
from onward.runs import export_model
from onward.screen import say


@dataclass(frozen=True)
class ExportArguments:
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Run folder."""
    out: Path
    """New folder for the model; predict and evaluate take it as they take a run."""
    rule: str | None = None
    """Inference rule to keep; the run's headline rule unless named."""


def run(words: Sequence[str]) -> None:
    """Carry out `onward export`. Raises ValueError for what a user can mend."""
    order = parse(ExportArguments, "export", words)
    export = export_model(model_folder(order.run), order.out, rule=order.rule)
    before, after = export.before, export.after
    say(f"rule          {export.rule}, the only one that is kept")
    say(f"blocks        {before.blocks} -> {after.blocks}")
    say(f"parameters    {before.parameters:,} -> {after.parameters:,}")
    say(f"weights file  {before.file_bytes:,} -> {after.file_bytes:,} bytes")
    say(f"model         {order.out}")
