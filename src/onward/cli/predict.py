"""The command `onward predict`: classes of image files by a finished run."""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro
from torch import Tensor

from onward.cli.arguments import parse
from onward.cli.positional import model_folder
from onward.cli.tables import show_table
from onward.cli.usage import Mistakes
from onward.core import TrainerSettings
from onward.data import Samples, as_floats, image_files, read_image
from onward.runs import ModelSpec, RunFolder, load_model
from onward.screen import say
from onward.storage.disk import replace_all
from onward.training import Evaluator

_BATCH = 500  # images that are read and computed at once


@dataclass(frozen=True)
class PredictArguments:
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Run folder."""
    images: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE...")]
    """Image files, or folders of them; they are converted and resized to what the network takes."""
    rule: str | None = None
    """Inference rule; the run's default rule unless named."""
    json: bool = False
    """Print JSON lines."""
    csv: Path | None = None
    """File that gets a row for each image: its class, the confidence, and the probability of every class."""
    top: int = 5
    """How many classes to show for each block."""


def run(words: Sequence[str]) -> None:
    """Carry out `onward predict`. Raises ValueError for a user's error; images before and after are answered."""
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
    rule, show = order.rule or learner.default_rule, _print_json if order.json else _print_prediction
    refused: list[str] = []
    table = None if order.csv is None else _Table(order.csv, spec.class_names)
    for names, images in _batches(_files(order.images), spec, refused):
        for scores, blocks in evaluator.read(images, rule):
            for k, name in enumerate(names):
                if not (scores[k].isfinite().all() and blocks[:, k].isfinite().all()):
                    refused.append(f"{name}: the scores are not finite; the model in {folder} is not a good one")
                    continue
                if table is not None:
                    table.add(name, scores[k])
                else:
                    show(name, rule, spec.class_names, scores[k], blocks[:, k], order.top)
    if table is not None:
        table.write()
    if refused:
        raise Mistakes(refused)


def _files(names: Sequence[str]) -> list[str]:
    """Return the named files, and the image files below the named folders. ValueError for a folder without any."""
    files: list[str] = []
    for name in names:
        files += [str(file) for file in image_files(Path(name))] if Path(name).is_dir() else [name]
    return files


class _Table:
    """Predictions as rows of a file of comma-separated values, written whole at the end."""

    def __init__(self, path: Path, names: Sequence[str]):
        if path.is_dir() or not path.parent.is_dir():
            raise ValueError(f"--csv {path} cannot be written: name a file in a folder that is there")
        self.path, self.names = path, names
        self.rows: list[list[str]] = []

    def add(self, name: str, scores: Tensor) -> None:
        """Note the classes of an image."""
        confidence = scores.softmax(dim=0)
        best = int(confidence.argmax())
        shares = [f"{share:.6g}" for share in confidence.tolist()]
        self.rows.append([name, self.names[best], shares[best], *shares])

    def write(self) -> None:
        """Write the file, and print its path."""

        def fill(path: Path) -> None:
            with open(path, "w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(["file", "class", "confidence", *(f"p({name})" for name in self.names)])
                writer.writerows(self.rows)

        replace_all({self.path: fill})
        say(f"{len(self.rows):,} images in {self.path}", error=True)


def _batches(names: Sequence[str], spec: ModelSpec, refused: list[str]) -> Iterator[tuple[list[str], Samples]]:
    """Read image files batch by batch; errors of those that cannot be read are added to `refused`."""
    for start in range(0, len(names), _BATCH):
        read: dict[int, Tensor] = {}
        for k, name in enumerate(names[start : start + _BATCH], start):
            try:
                read[k] = _image(name, spec)
            except (ValueError, OSError) as error:
                refused.append(str(error))
        if read:
            deep = any(image.is_floating_point() for image in read.values())
            pixels = torch.stack([as_floats(image) if deep else image for image in read.values()])
            yield [names[k] for k in read], Samples(pixels, torch.zeros(len(read)).long())


def _image(name: str, spec: ModelSpec) -> Tensor:
    """Read an image file as the network takes it. Raises ValueError with the remedy for what is none."""
    if name == "-":
        raise ValueError("standard input is not read: name image files")
    if not Path(name).exists():
        if "://" in name:
            raise ValueError(f"{name} is a URL: download the image and name its file")
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
