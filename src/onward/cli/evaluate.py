"""The command `onward evaluate`: accuracy of a finished run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from onward.cli.arguments import parse
from onward.cli.positional import model_folder
from onward.cli.tables import show_table
from onward.core.metrics import MEASURES, further_metrics
from onward.runs import RunFolder
from onward.runs.evaluating import evaluate_again, evaluate_others
from onward.training import Accuracy
from onward.training.progress import stages

_SHOWN = 20  # classes that are shown one by one
_ADVICE = "a run is evaluated on the images that it was trained on, whose folder --data-dir names"


@dataclass(frozen=True)
class EvaluateArguments:
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Run folder."""
    split: Literal["test", "validation", "train"] = "test"
    """Which images."""
    data_dir: Path | None = None
    """Folder with one parquet folder per named set, else $ONWARD_DATA, else the hub; or the path of a moved folder."""
    data: str | None = None
    """Other images with the same classes: a folder of images, or the name of a set, whose test split is taken."""
    device: str = "auto"
    """cpu, cuda, cuda:1, or auto."""


def run(words: Sequence[str]) -> None:
    """Carry out `onward evaluate`. Raises ValueError for a user's error."""
    order = parse(EvaluateArguments, "evaluate", words, advice=_ADVICE)
    RunFolder.open(model_folder(order.run))
    if order.data is not None and order.split != "test":
        raise ValueError(f"--split {order.split} is one of the images of the run: leave --split or --data out")
    with stages() as watch:
        if order.data is not None:
            recipe, images, name, learner, accuracy = evaluate_others(
                order.run, order.data, data_dir=order.data_dir, device=order.device, watch=watch
            )
            noun = "images" if learner.input_form is None else learner.input_form.noun
            _show(f"{recipe.name}, {len(images):,} {noun} of {name}", accuracy, learner.class_names)
            return
        recipe, data, accuracy = evaluate_again(
            order.run, split=order.split, data_dir=order.data_dir, device=order.device, watch=watch
        )
    images = getattr(data, order.split)
    title = f"{recipe.name}, {len(images):,} {order.split} {data.inputs.noun} of {data.note or data.name}"
    _show(title, accuracy, data.class_names)


def _show(title: str, accuracy: Accuracy, names: Sequence[str]) -> None:
    """Print the accuracy of every read-out and class, and the class it is most confused with."""
    read = {**accuracy.by_rule, **{f"scored block {k}": value for k, value in enumerate(accuracy.by_block)}}
    metrics, measure = accuracy.classes, MEASURES[accuracy.task]
    if metrics is not None:
        read["balanced accuracy"] = metrics.balanced_accuracy
    if accuracy.task == "values":
        show_table(title, ["read-out", measure], [(name, [f"{value:.4f}"]) for name, value in read.items()])
    else:
        rows = [(name, [f"{100 * value:.2f}"]) for name, value in read.items()]
        show_table(title, ["read-out", f"{measure} %"], rows)
    if metrics is None:
        values = [(name, [value]) for name, value in further_metrics(accuracy.metrics)]
        show_table(f"further metrics of {next(iter(accuracy.by_rule))}", ["metric", "value"], values)
    if metrics is None or len(names) > _SHOWN:
        return
    counts = metrics.confusion.sum(1).tolist()
    rows = [
        (name, [_percent(recall), _percent(precision), str(count), _confused(row, k, names)])
        for k, (name, recall, precision, count, row) in enumerate(
            zip(names, metrics.recall, metrics.precision, counts, accuracy.confusion, strict=True)
        )
    ]
    show_table("each class", ["class", "recall %", "precision %", "samples", "most often taken for"], rows)


def _confused(row: Sequence[int], own: int, names: Sequence[str]) -> str:
    """Return the class that samples of another one are most often taken for, and how many of them."""
    wrong = [count if k != own else 0 for k, count in enumerate(row)]
    most = max(range(len(wrong)), key=wrong.__getitem__)
    return f"{names[most]} ({wrong[most]})" if wrong[most] else "-"


def _percent(share: float) -> str:
    return f"{100 * share:.2f}" if share == share else "-"
