"""The tasks of `any_model.py`: rows for training, validation and test, from data sets and from installed packages."""

import importlib.util
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sklearn.datasets
import torch
from torch import Tensor

from onward.data import DataSettings, load

_ALPHABET = 128
_LANGUAGES = ("de", "en", "es", "fi", "fr", "it", "nl", "sv")


class Rows:
    """Rows of a data set in batches: named tensors, or `x` and `labels` for a model that takes one tensor.

    With a seed they come in another order in every epoch, whole batches alone; without one, as they are and all.
    """

    def __init__(self, tensors: dict[str, Tensor], size: int, seed: int | None = None):
        self.tensors, self.size, self.seed = tensors, size, seed
        self.count, self.epoch = len(next(iter(tensors.values()))), 0

    def __len__(self) -> int:
        return self.count // self.size if self.seed is not None else -(-self.count // self.size)

    def __iter__(self) -> Iterator[Any]:
        order = torch.arange(self.count)
        if self.seed is not None:
            order = torch.randperm(self.count, generator=torch.Generator().manual_seed(1000 * self.seed + self.epoch))
            self.epoch += 1
        for k in range(len(self)):
            yield self.batch(order[k * self.size : (k + 1) * self.size])

    def batch(self, rows: Tensor) -> Any:
        """Return a batch as loaders give it: a pair, or a dict."""
        batch = {name: tensor[rows] for name, tensor in self.tensors.items()}
        return (batch["x"], batch["labels"]) if "x" in batch else batch


@dataclass(frozen=True)
class Task:
    """What is learned: rows by split, and where they are from."""

    source: str
    train: dict[str, Tensor]
    validation: dict[str, Tensor]
    test: dict[str, Tensor]


def images(name: str, numbers: tuple[int, int, int], *, size: int, rgb: bool = False) -> Task:
    """Return the first images of an image set, brought to `size` pixels, in [-1, 1] (rgb) or to mean 0."""
    splits = load(DataSettings(name=name))

    def rows(images: Any, number: int) -> dict[str, Tensor]:
        x = images.pixels[:number].float() / 255
        if size != x.shape[-1]:
            x = torch.nn.functional.interpolate(x, size=(size, size), mode="bilinear", antialias=True)
        return {"x": (x - 0.5) / 0.5 if rgb else (x - 0.25) / 0.33, "labels": images.labels[:number]}

    parts = zip((splits.train, splits.validation, splits.test), numbers, strict=True)
    train, validation, test = (rows(part, number) for part, number in parts)
    return Task(f"{name}, {numbers[0]:,} images", train, validation, test)


def image_rows(numbers: tuple[int, int, int]) -> Task:
    """Return MNIST as sequences: 28 steps of 28 values."""
    task = images("mnist", numbers, size=28)
    splits = [{**part, "x": part["x"].squeeze(1)} for part in (task.train, task.validation, task.test)]
    return Task(f"{task.source} as sequences of 28 rows", *splits)


def table(name: str) -> Task:
    """Return a table of scikit-learn, columns at mean 0 and deviation 1 by its training rows: 60, 20 and 20 percent."""
    x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    first, second = round(0.6 * len(x)), round(0.8 * len(x))
    parts = order[:first], order[first:second], order[second:]
    x = (x - x[parts[0]].mean(0)) / x[parts[0]].std(0).clamp_min(1e-6)
    return Task(f"{name} of scikit-learn, {first:,} rows", *({"x": x[part], "labels": y[part]} for part in parts))


def vowels() -> Task:
    """Return JapaneseVowels, which aeon ships: 12 channels of speech, by speaker; 270 and 370 recordings.

    Raises ModuleNotFoundError where aeon is not installed.
    """
    spec = importlib.util.find_spec("aeon")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("No module named 'aeon'")
    folder = Path(spec.origin).parent / "datasets" / "data" / "JapaneseVowels"
    (x, y), (test_x, test_y) = (_series(folder / f"JapaneseVowels_eq_{part}.ts") for part in ("TRAIN", "TEST"))
    mean, deviation = x.mean((0, 2), keepdim=True), x.std((0, 2), keepdim=True)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    train, validation = order[len(x) // 5 :], order[: len(x) // 5]
    x, test_x = (x - mean) / deviation, (test_x - mean) / deviation
    parts = ((x[train], y[train]), (x[validation], y[validation]), (test_x, test_y))
    return Task(f"JapaneseVowels of aeon, {len(train)} recordings", *({"x": a, "labels": b} for a, b in parts))


def languages(*, length: int, rows: tuple[int, int, int] = (4000, 800, 1600)) -> Task:
    """Return three names of countries, languages or currencies at a time, as bytes, padded; labels are languages.

    From CLDR, as babel ships it. Names for training, validation and test are not the same.
    """
    from babel import Locale

    drawn = random.Random(0)
    splits: list[list[tuple[str, int]]] = [[], [], []]
    for label, code in enumerate(_LANGUAGES):
        locale = Locale(code)
        names_of_locales = {
            str(n) for names in (locale.languages, locale.territories, locale.currencies) for n in names.values()
        }
        names = sorted(names_of_locales)
        drawn.shuffle(names)
        first, second = round(0.6 * len(names)), round(0.8 * len(names))
        for split, part, count in zip(splits, (names[:first], names[first:second], names[second:]), rows, strict=True):
            split += [(", ".join(drawn.sample(part, 3)), label) for _ in range(count // len(_LANGUAGES))]
    source = f"names in {len(_LANGUAGES)} languages, CLDR of babel, {len(splits[0]):,} texts"
    return Task(source, *(_bytes(split, length) for split in splits))


def reference(*, length: int, rows: tuple[int, int, int] = (8000, 150, 400)) -> Task:
    """Return Python's reference as windows of characters, in its own order: training, then validation, then test."""
    from pydoc_data.topics import topics  # pyright: ignore[reportMissingImports]

    text = "\n".join(topics[name] for name in sorted(topics))
    ids = torch.tensor([min(ord(letter), _ALPHABET - 1) for letter in text])
    windows = ids[: len(ids) // length * length].view(-1, length)
    after, last = round(0.8 * len(windows)), round(0.9 * len(windows))
    parts = windows[:after][: rows[0]], windows[after:last][: rows[1]], windows[last:][: rows[2]]
    return Task(f"Python's reference, {len(parts[0]) * length:,} characters", *({"input_ids": p} for p in parts))


def random_images(shape: tuple[int, ...], classes: int, rows: int) -> dict[str, Tensor]:
    """Return rows of noise, for what does not depend on what they show: memory, time, and whether it runs at all."""
    generator = torch.Generator().manual_seed(0)
    return {"x": torch.randn(rows, *shape, generator=generator), "labels": torch.arange(rows) % classes}


def random_texts(words: int, length: int, classes: int | None, rows: int) -> dict[str, Tensor]:
    """Return texts of noise, every second one padded to its half; with classes, or without for the next token."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(1, words, (rows, length), generator=generator)
    if classes is None:
        return {"input_ids": ids}
    mask = torch.ones_like(ids)
    mask[::2, length // 2 :] = 0
    return {"input_ids": ids * mask, "attention_mask": mask, "labels": torch.arange(rows) % classes}


def _bytes(texts: list[tuple[str, int]], length: int) -> dict[str, Tensor]:
    ids = torch.zeros(len(texts), length, dtype=torch.long)
    for row, (text, _) in enumerate(texts):
        content = text.encode()[:length]
        ids[row, : len(content)] = torch.tensor(list(content)) + 1
    return {"input_ids": ids, "attention_mask": (ids > 0).long(), "labels": torch.tensor([label for _, label in texts])}


def _series(path: Path) -> tuple[Tensor, Tensor]:
    """Read series of equal length and their classes: channels split by colons, the class last."""
    lines = path.read_text().partition("@data")[2].split()
    rows = [line.split(":") for line in lines]
    x = torch.tensor([[[float(value) for value in channel.split(",")] for channel in row[:-1]] for row in rows])
    classes = sorted({row[-1] for row in rows})
    return x, torch.tensor([classes.index(row[-1]) for row in rows])
