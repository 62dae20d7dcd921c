"""Whether a stream keeps up: 1.28 million small JPEGs (one shard under many names) train ASGE's ImageNet recipe."""

import io
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow
import torch
from PIL import Image
from pyarrow import parquet

from onward.core import LocalTrainer
from onward.data import Batch, Splits, Streamed, TrainLoader, load
from onward.data.streaming import images
from onward.recipes import Recipe
from onward.recipes.lookup import find_recipe
from onward.runs.model import spec_for
from report import Order, begin, finish

_OF_SHARD, _GROUP = 1000, 100  # images of a shard, and of a row group: those of the hub have 100 as well
_ALONE = 40  # batches of the loader with no other process at work


def main() -> None:
    order = begin(__doc__ or "", steps=200)
    recipe = find_recipe("asge-imagenet")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ONWARD_CACHE"] = f"{folder}/cache"
        _write(Path(folder) / "imagenet", *((40, 2) if order.quick else (1281, 10)))
        started = time.perf_counter()
        data = load(recipe.data, data_dir=Path(folder))
        opened = time.perf_counter() - started
        if order.quick:
            recipe = replace(recipe, batch_size=8)
        row = {"recipe": recipe.name, "train_images": len(data.train), "batch": recipe.batch_size, "open_s": opened}
        row |= _alone(recipe, data, order) | _training(recipe, data, order)
        row["processes"] = data.train.workers if isinstance(data.train, Streamed) else 0
    finish("stream", order, "what a training step waits for a stream (target: nothing)", [row])


def _alone(recipe: Recipe, data: Splits, order: Order) -> dict[str, Any]:
    """Time the loader with no other process at work, from its second batch on."""
    batches = _loader(recipe, data, order).epoch(0)
    started = time.perf_counter()
    next(batches)
    first = time.perf_counter() - started
    started = time.perf_counter()
    images = sum(len(y) for _, y in islice(batches, _ALONE))
    return {"first_batch_s": first, "loader_images_s": images / (time.perf_counter() - started)}


def _training(recipe: Recipe, data: Splits, order: Order) -> dict[str, Any]:
    """Train, and time how long each step waits for images to be decoded; resume in the middle and compare."""
    learner = spec_for(recipe.algorithm, recipe.net, data).build().to(order.device)
    learner.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    trainer, watched, middle = LocalTrainer(learner, recipe.trainer), _Watched(), order.steps // 2
    batches, whole, waits, seen, sizes = _loader(recipe, data, order).epoch(0), [], [], [], []
    for step in range(order.steps + 1):  # the first fills the buffer and is not counted
        started, watched.seconds = time.perf_counter(), 0.0
        x, y = next(batches)
        trainer.step(x, y, step=step)
        if order.device.type == "cuda":
            torch.cuda.synchronize()
        whole.append(time.perf_counter() - started)
        waits.append(watched.seconds)
        sizes.append(_resident())
        if middle <= step < middle + 3:
            seen.append((x, y))
    del batches
    watched.end()
    started = time.perf_counter()
    again = list(islice(_loader(recipe, data, order).epoch(0, start=middle), len(seen)))
    seconds = time.perf_counter() - started
    return {
        "steps": order.steps,
        "step_s": median(whole[1:]),
        "training_images_s": order.steps * recipe.batch_size / sum(whole[1:]),
        "waiting_s": sum(waits[1:]) / order.steps,
        "waiting_share": sum(waits[1:]) / sum(whole[1:]),
        "resumed": "same samples" if _same(seen, again) else "OTHER SAMPLES",
        "resuming_s": seconds,
        "memory_growth": sizes[-1] / sizes[order.steps // 4 + 1] - 1,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


@dataclass
class _Watched:
    """Counts the seconds that a stream waits for the processes that decode."""

    seconds: float = 0.0

    def __post_init__(self):
        self.decoded = images.decoded
        images.decoded = self._timed

    def end(self) -> None:
        images.decoded = self.decoded

    def _timed(self, *arguments: Any, workers: int) -> Iterator[np.ndarray]:
        pieces = self.decoded(*arguments, workers=workers)
        while True:
            started = time.perf_counter()
            piece = next(pieces, None)
            self.seconds += time.perf_counter() - started
            if piece is None:
                return
            yield piece


def _loader(recipe: Recipe, data: Splits, order: Order) -> TrainLoader:
    augmentation = recipe.data.augmentation
    return TrainLoader(data.train, batch_size=recipe.batch_size, device=order.device, augmentation=augmentation)


def _same(left: list[Batch], right: list[Batch]) -> bool:
    return all(torch.equal(x, x2) and torch.equal(y, y2) for (x, y), (x2, y2) in zip(left, right, strict=True))


def _write(folder: Path, train: int, test: int) -> None:
    """Write one shard of 64x64 JPEGs, a photograph's size in bytes, and give it as many names as there are shards."""
    rng, cells = np.random.default_rng(0), []
    for _ in range(_OF_SHARD):
        content = io.BytesIO()
        small = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        small.resize((64, 64)).save(content, "JPEG", quality=90)
        cells.append({"bytes": content.getvalue(), "path": None})
    folder.mkdir(parents=True)
    shard = folder / "shard"
    table = pyarrow.table({"image": cells, "label": list(range(_OF_SHARD))})
    parquet.write_table(table, shard, row_group_size=_GROUP)
    for split, count in (("train", train), ("validation", test)):
        for number in range(count):
            (folder / f"{split}-{number:05}-of-{count:05}.parquet").symlink_to(shard)


def _resident() -> int:
    """Return the bytes of memory that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    main()
