"""Messages at the start of a run: the data that are read, and the training that begins."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch

from onward.core import Learner
from onward.data import Splits, load, load_again
from onward.recipes import Recipe
from onward.runs.environment import device_name
from onward.screen import say, say_fitted

_SOON = 1.0  # seconds of reading images before a message is printed
_FEW = 100  # steps that hardly any method learns from


def images_of(
    recipe: Recipe, data_dir: Path | None, workers: int | None, *, begun: bool = False, verbose: bool = True
) -> Splits:
    """Load the images of a recipe, or of a run that has begun; a message is printed if that takes longer than a second.

    Raises ValueError as `load` and `load_again` do.
    """
    with _said_later(f"reading {recipe.data.name}") if verbose else nullcontext():
        read = load_again if begun else load
        return read(recipe.data, data_dir=data_dir, workers=workers)


def announce(recipe: Recipe, data: Splits, learner: Learner, device: torch.device, folder: Path) -> None:
    """Print to standard error the method, the data and the run folder."""
    parameters = sum(p.numel() for block in learner.blocks for p in block.parameters())
    samples = f"{len(data.train):,} {data.inputs.noun} of {data.note or data.name}"
    say_fitted(
        f"{recipe.name}: {samples}, {parameters:,} parameters, on {device_name(device)}, in {folder}",
        indent=2,
        error=True,
    )
    steps = len(data.train) // min(recipe.batch_size, len(data.train)) * recipe.epochs
    if steps < _FEW:
        say_fitted(
            f"only {steps} {'step' if steps == 1 else 'steps'} in all, which may be too few to learn from: "
            "take more epochs (--epochs) or smaller batches (--batch-size)",
            indent=2,
            error=True,
        )


@contextmanager
def _said_later(line: str) -> Iterator[None]:
    timer = threading.Timer(_SOON, say, (line,), {"error": True})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
