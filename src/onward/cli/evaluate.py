"""The command `onward evaluate`: accuracy of a finished run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro

from onward.cli.arguments import parse
from onward.cli.known import model_folder
from onward.cli.tables import show_table
from onward.data import load_again
from onward.runs import RunFolder, load_model
from onward.runs.environment import choose_device
from onward.runs.finished import check_measured
from onward.runs.model import check_recipe
from onward.runs.train import check_data
from onward.training import Evaluator
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
    folder = RunFolder.open(model_folder(order.run))
    recipe = folder.recipe()
    learner, spec = load_model(order.run)
    check_recipe(recipe, spec, order.run)
    data = load_again(recipe.data, data_dir=order.data_dir)
    if (order.run / "environment.json").is_file():  # an export has none
        check_data(folder, data)
    learner.to(choose_device(order.device))
    if recipe.trainer.channels_last:
        learner.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    images = getattr(data, order.split)
    with stages() as watch:
        evaluator = Evaluator(learner, recipe.trainer, batch_size=recipe.batch_size, watch=watch)
        accuracy = evaluator.accuracy(images)
        if folder.untied():
            check_measured(folder, accuracy if order.split == "test" else evaluator.accuracy(data.test), len(data.test))
    title = f"{recipe.name}, {len(images):,} {order.split} images of {data.note or data.name}"
    read = {**accuracy.by_rule, **{f"scored block {k}": value for k, value in enumerate(accuracy.by_block)}}
    show_table(title, ["read-out", "accuracy %"], [(name, [f"{100 * value:.2f}"]) for name, value in read.items()])
