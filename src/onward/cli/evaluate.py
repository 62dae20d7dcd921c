"""The command `onward evaluate`: accuracy of a finished run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from onward.cli.arguments import parse
from onward.cli.named import model_folder
from onward.cli.tables import show_table
from onward.runs import RunFolder
from onward.runs.evaluating import evaluate_again
from onward.training.progress import stages

_ADVICE = "a run is evaluated on the images that it was trained on, which --data-dir says where to find"


@dataclass(frozen=True)
class EvaluateArguments:
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Run folder."""
    split: Literal["test", "validation", "train"] = "test"
    """Which images."""
    data_dir: Path | None = None
    """Folder with one parquet folder per named set, else $ONWARD_DATA, else the hub; or a moved folder's new place."""
    device: str = "auto"
    """cpu, cuda, cuda:1, or auto."""


def run(words: Sequence[str]) -> None:
    """Carry out `onward evaluate`. Raises ValueError for what a user can mend."""
    order = parse(EvaluateArguments, "evaluate", words, advice=_ADVICE)
    RunFolder.open(model_folder(order.run))
    with stages() as watch:
        recipe, data, accuracy = evaluate_again(
            order.run, split=order.split, data_dir=order.data_dir, device=order.device, watch=watch
        )
    images = getattr(data, order.split)
    title = f"{recipe.name}, {len(images):,} {order.split} images of {data.note or data.name}"
    read = {**accuracy.by_rule, **{f"scored block {k}": value for k, value in enumerate(accuracy.by_block)}}
    show_table(title, ["read-out", "accuracy %"], [(name, [f"{100 * value:.2f}"]) for name, value in read.items()])
