"""The command `onward predict`: classes of image files by a finished run."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro
from torch import Tensor

from onward.cli.arguments import parse
from onward.cli.named import model_folder
from onward.cli.tables import show_table
from onward.cli.words import Mistakes
from onward.core import TrainerSettings
from onward.data import Images, read_image
from onward.runs import ModelSpec, RunFolder, load_model
from onward.training import Evaluator

_BATCH = 500  # images that are read and computed at once


@dataclass(frozen=True)
class PredictArguments:
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Run folder."""
    images: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE...")]
    """Image files; they are converted and resized to what the network takes."""
    rule: str | None = None
    """Inference rule; the run's headline rule unless named."""
    json: bool = False
    """Print JSON lines."""
    top: int = 5
    """How many classes to show for each block."""


def run(words: Sequence[str]) -> None:
    """Carry out `onward predict`. Raises ValueError for what a user can mend; images before and after are answered."""
    order = parse(PredictArguments, "predict", words)
    if not order.images:
        raise ValueError("no image named: onward predict RUN IMAGE...")
    if order.top < 1:
        raise ValueError(f"--top must be at least 1, got {order.top}")
    folder = model_folder(order.run)
    learner, spec = load_model(folder)
    settings = TrainerSettings()  # of a model that was saved without a recipe
    if (folder / "config.json").is_file():
        settings = RunFolder.open(folder).recipe().trainer
    evaluator = Evaluator(learner.laid_out(settings), settings, batch_size=_BATCH)
    rule, show = order.rule or learner.headline, _print_json if order.json else _print_prediction
    refused: list[str] = []
    for names, images in _batches(order.images, spec, refused):
        for scores, blocks in evaluator.read(images, rule):
            for k, name in enumerate(names):
                if not (scores[k].isfinite().all() and blocks[:, k].isfinite().all()):
                    refused.append(f"{name}: the scores are not finite; the model in {folder} is not a good one")
                    continue
                show(name, rule, spec.class_names, scores[k], blocks[:, k], order.top)
    if refused:
        raise Mistakes(refused)


def _batches(names: Sequence[str], spec: ModelSpec, refused: list[str]) -> Iterator[tuple[list[str], Images]]:
    """Read image files batch by batch; what is said of those that cannot be read goes to `refused`."""
    for start in range(0, len(names), _BATCH):
        read: dict[int, Tensor] = {}
        for k, name in enumerate(names[start : start + _BATCH], start):
            try:
                read[k] = _image(name, spec)
            except (ValueError, OSError) as error:
                refused.append(str(error))
        if read:
            yield [names[k] for k in read], Images(torch.stack(list(read.values())), torch.zeros(len(read)).long())


def _image(name: str, spec: ModelSpec) -> Tensor:
    """Read an image file as the network takes it. Raises ValueError for what is none, saying what to name instead."""
    if name == "-":
        raise ValueError("standard input is not read: name image files")
    if not Path(name).exists():
        if "://" in name:
            raise ValueError(f"{name} is an address: download the image and name its file")
        if any(letter in name for letter in "*?["):
            raise ValueError(f"{name} does not exist; for all files of a pattern, let the shell expand it: no quotes")
    channels, height, width = spec.shape
    return read_image(name, channels=channels, size=(height, width))


def _print_prediction(image: str, rule: str, names: Sequence[str], scores: Tensor, blocks: Tensor, top: int) -> None:
    confidence = scores.softmax(dim=0)
    best = int(confidence.argmax())
    first = [int(c) for c in scores.topk(min(top, len(names))).indices]
    title = f"{image}: {names[best]} (confidence {float(confidence[best]):.1%}, softmax of the {rule} scores)"
    rows = [(f"block {block}", [f"{float(row[c]):.3f}" for c in first]) for block, row in enumerate(blocks)]
    show_table(title, ["scores", *[names[c] for c in first]], rows)


def _print_json(image: str, rule: str, names: Sequence[str], scores: Tensor, blocks: Tensor, top: int) -> None:
    confidence = scores.softmax(dim=0)
    best = int(confidence.argmax())
    row = {"image": image, "rule": rule, "class": names[best], "confidence": float(confidence[best])}
    print(json.dumps({**row, "block_scores": blocks.tolist(), "class_names": list(names)}, allow_nan=False))
