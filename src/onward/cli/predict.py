"""The command `onward predict`: what a finished run answers to image files, or to the rows of a table."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Annotated

import torch
import tyro
from torch import Tensor

from onward.cli.answers import Answers, check_writable
from onward.cli.arguments import parse
from onward.cli.positional import model_folder
from onward.cli.usage import Mistakes
from onward.core import InputForm, TrainerSettings
from onward.data import (
    Columns,
    Samples,
    array_files,
    as_floats,
    decoded,
    encoded_images,
    image_files,
    inputs_to_predict,
    own_shards,
    read_image,
    rows_to_predict,
    table_files,
)
from onward.runs import ModelSpec, RunFolder, load_model
from onward.training import Evaluator

_BATCH = 500  # images that are read and computed at once


@dataclass(frozen=True)
class PredictArguments:
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Run folder."""
    images: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE...")]
    """Image files, or folders of them, converted and resized to what the network takes; also parquet, .npz and idx
    files. Of a model of tables, files of rows."""
    rule: str | None = None
    """Inference rule; the run's default rule unless named."""
    json: bool = False
    """Print JSON lines."""
    csv: Path | None = None
    """File that gets a row for each input: its class, the confidence, and the probability of every class; or the
    predicted numbers."""
    top: int = 5
    """How many classes to show for each block."""


def run(words: Sequence[str]) -> None:
    """Carry out `onward predict`. Raises ValueError for a user's error; images before and after are answered."""
    order = parse(PredictArguments, "predict", words)
    if not order.images:
        raise ValueError("no image named: onward predict RUN IMAGE..., or the file of a table")
    if order.top < 1:
        raise ValueError(f"--top must be at least 1, got {order.top}")
    folder = model_folder(order.run)
    learner, spec = load_model(folder)
    settings, columns = TrainerSettings(), Columns()  # of a model that was saved without a recipe
    if (folder / "config.json").is_file():
        recipe = RunFolder.open(folder).recipe()
        settings, columns = recipe.trainer, recipe.data.columns
    evaluator = Evaluator(learner.laid_out(settings), settings, batch_size=_BATCH)
    rule, rows = order.rule or learner.default_rule, spec.form is not None and spec.form.kind != "images"
    answers = Answers(learner.task, spec.class_names, rule, "rows" if rows else "images")
    if order.csv is not None:
        check_writable(order.csv, order.images)
    refused: list[str] = []
    read = _samples(order.images, spec, learner.input_form, columns, refused)
    plain = order.csv is None and not order.json and not rows and learner.task == "classes"
    for names, samples in read:
        for scores, blocks in evaluator.read(samples, rule):
            for k, name in enumerate(names):
                if not (scores[k].isfinite().all() and blocks[:, k].isfinite().all()):
                    refused.append(f"{name}: the scores are not finite; the model in {folder} is not a good one")
                elif plain:
                    answers.print_blocks(name, scores[k], blocks[:, k], order.top)
                elif order.csv is None and order.json:
                    answers.print_json(name, scores[k], blocks[:, k])
                else:
                    answers.add(name, scores[k])
    if order.csv is not None:
        answers.write(order.csv)
    else:
        answers.show()
    if refused:
        raise Mistakes(refused)


def _samples(
    names: Sequence[str], spec: ModelSpec, form: InputForm | None, columns: Columns, refused: list[str]
) -> Iterator[tuple[list[str], Samples]]:
    """Read everything that is named, batch by batch; errors of what cannot be read are added to `refused`."""
    several = len(names) > 1
    for in_rows, group in groupby(names, lambda name: form is not None and (form.kind != "images" or _arrays(name))):
        if form is not None and in_rows:
            for name in group:
                yield from _rows(name, form, columns, refused, several=several)
        else:
            yield from _batches(_images(group, refused), spec, refused)


def _arrays(name: str) -> bool:
    """Whether a name is that of arrays, and not of encoded images."""
    path = Path(name).expanduser()
    try:
        return array_files(path) is not None
    except ValueError:  # they are read, and refused, when it is their turn
        return True


def _rows(
    name: str, form: InputForm, columns: Columns, refused: list[str], *, several: bool
) -> Iterator[tuple[list[str], Samples]]:
    """Read a table or a file of arrays batch by batch; the error of one that cannot be read is added to `refused`."""
    path = Path(name).expanduser()
    try:
        if (tables := table_files(path)) is not None and form.kind == "table":
            samples = rows_to_predict(tables, form, columns)
        elif (arrays := array_files(path)) is not None:
            samples = inputs_to_predict(arrays, form)
        else:
            given = "a .csv, .tsv, .parquet or .npz file" if form.kind == "table" else "an .npz file"
            raise ValueError(f"{name} cannot be read: the model takes {form.kind} {list(form.shape)}, so name {given}")
    except (ValueError, OSError) as error:
        refused.append(str(error))
        return
    for start in range(0, len(samples), _BATCH):
        part = torch.arange(start, min(start + _BATCH, len(samples)))
        yield [f"{name}:{k}" if several else str(k) for k in part.tolist()], samples.subset(part)


def _images(names: Iterable[str], refused: list[str]) -> Iterator[tuple[str, Path | bytes]]:
    """Yield name and content of each image: of files, of those below folders, and of the rows of parquet files."""
    for name in names:
        path = Path(name).expanduser()
        try:
            shards = own_shards(path)
            if shards is not None:
                yield from encoded_images(shards)
            elif path.is_dir():
                yield from ((str(file), file) for file in image_files(path))
            else:
                yield name, path
        except (ValueError, OSError) as error:
            refused.append(str(error))


def _batches(
    images: Iterator[tuple[str, Path | bytes]], spec: ModelSpec, refused: list[str]
) -> Iterator[tuple[list[str], Samples]]:
    """Read images batch by batch; errors of those that cannot be read are added to `refused`."""
    while some := list(islice(images, _BATCH)):
        names, read = [], []
        for name, content in some:
            try:
                read.append(_image(name, content, spec))
                names.append(name)
            except (ValueError, OSError) as error:
                refused.append(str(error))
        if read:
            deep = any(image.is_floating_point() for image in read)
            pixels = torch.stack([as_floats(image) if deep else image for image in read])
            yield names, Samples(pixels, torch.zeros(len(read)).long())


def _image(name: str, content: Path | bytes, spec: ModelSpec) -> Tensor:
    """Read an image as the network takes it. Raises ValueError, with the remedy, for what is no image."""
    channels, height, width = spec.shape
    if isinstance(content, bytes):
        return decoded(content, where=name, channels=channels, size=(height, width))
    if name == "-":
        raise ValueError("standard input is not read: name image files")
    if not Path(name).exists():
        if "://" in name:
            raise ValueError(f"{name} is a URL: download the image and name its file")
        if any(letter in name for letter in "*?["):
            raise ValueError(f"{name} does not exist; for all files of a pattern, let the shell expand it: no quotes")
    return read_image(content, channels=channels, size=(height, width))
