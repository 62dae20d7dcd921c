"""Operations of whole trainings, the same on any machine. One step is counted, and the counts are kept in a file.

Products of convolutions and linear layers are counted, two operations for a multiply-add: forward passes, gradients,
auxiliary networks, and the products of an optimizer. Augmentation, validation, evaluation and solving linear systems
are not. Where spans learn in windows of the training, such as CwComp's, it is the mean of its steps.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import torch

from onward.core import LocalTrainer, Turns, derive_seed, seeded
from onward.measure import step_flops
from onward.recipes import Recipe
from onward.runs.codec import encode, with_first_names
from onward.runs.localities import sizes_of
from onward.runs.model import ModelSpec
from onward.runs.records import Record
from onward.storage.files import read_json, write_json

KEPT = "operations.json"
_BATCH = 20  # images of the step that is counted


@dataclass(frozen=True)
class Operations:
    """Operations of a step: for each image of its batch, and per step regardless of the batch size."""

    per_image: int
    per_step: int

    def of_training(self, images: int, batch_size: int, epochs: int) -> int:
        """Return the operations of a training on that many images, whose last incomplete batch is left out."""
        batch = min(batch_size, images)
        return epochs * (images // batch) * (batch * self.per_image + self.per_step)


def count(recipe: Recipe) -> Operations:
    """Count a step of a recipe on random images. Raises ValueError if the shape of its images is not known."""
    sizes = sizes_of(recipe)
    if sizes is None:
        raise ValueError(f"the images of {recipe.name} are not known, so that its operations cannot be counted")
    shape, classes = sizes
    names = tuple(str(k) for k in range(classes))
    spec = ModelSpec(recipe.algorithm, recipe.net, shape, names, (0.5,) * shape[0], (0.5,) * shape[0])
    settings = replace(recipe.trainer, precision="fp32", channels_last=False, micro_batches=1)
    batch = min(_BATCH, recipe.batch_size)
    whole = per_step = 0.0
    with seeded(derive_seed(0, "operations"), torch.device("cpu")):
        images, labels = torch.rand(batch, *shape), torch.arange(batch) % classes
        for share, turns in _windows(spec.build().turns):
            learner = spec.build()
            learner.turns = turns
            flops = step_flops(LocalTrainer(learner, settings), images, labels)
            whole += share * flops.total
            per_step += share * sum(count for (_, phase), count in flops.shares.items() if phase == "optimizer")
    return Operations(round((whole - per_step) / batch), round(per_step))


def _windows(turns: Turns) -> Iterator[tuple[float, Turns]]:
    """Yield shares of a training with the spans that learn in them: one, unless spans have windows of their own."""
    ends = {end for turn in turns for span in turn for end in (span.begin, span.end)}
    for begin, end in pairwise(sorted({0.0, 1.0, *ends})):
        yield (
            end - begin,
            tuple(tuple(span for span in turn if span.begin <= begin and end <= span.end) for turn in turns),
        )


def kept(folder: Path) -> dict[str, Operations]:
    """Return the operations counted so far, by the key of a training's step."""
    path = folder / KEPT
    steps = read_json(path)["steps"] if path.exists() else {}
    return {key: Operations(*row) for key, row in steps.items()}


def count_missing(folder: Path, records: Iterable[Record], say: Callable[[str], None] = lambda _: None) -> None:
    """Count the steps of recorded trainings that the file does not have; a second or more each."""
    known = kept(folder)
    for record in records:
        if key(record.recipe) in known or sizes_of(record.recipe) is None:
            continue
        say(f"counting the operations of {record.recipe.name}")
        known[key(record.recipe)] = count(record.recipe)
        rows = {name: [operations.per_image, operations.per_step] for name, operations in sorted(known.items())}
        write_json(folder / KEPT, {"steps": rows})


def of_record(record: Record, known: Mapping[str, Operations]) -> int | None:
    """Return the operations of a recorded training; None where they were not counted."""
    step, images = known.get(key(record.recipe)), record.result.n_train
    if step is None or images is None:
        return None
    return step.of_training(images, record.recipe.batch_size, record.recipe.epochs)


def key(recipe: Recipe) -> str:
    """Return a digest of the settings that determine the operations of a recipe's step."""
    step = with_first_names(encode((recipe.algorithm, recipe.net, recipe.data.name, recipe.data.size, recipe.trainer)))
    return hashlib.sha256(json.dumps(step, sort_keys=True).encode()).hexdigest()[:16]
