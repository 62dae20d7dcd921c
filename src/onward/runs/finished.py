"""Finished runs: found by recipe, seed and data; resumed where stopped, trained where missing."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from onward.core import EpochDone, Learner
from onward.data import Splits
from onward.recipes import Recipe
from onward.runs.folder import RunFolder, runs_of
from onward.runs.loading import load
from onward.runs.result import RunResult
from onward.runs.train import RunOptions, resume, train
from onward.screen import say
from onward.training.evaluation import Accuracy

_FEW, _ROUNDED = 3, 0.003
"""Test images, and the share of them, whose predicted class may differ on another device."""


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, its recipe, and its result as the folder has it."""

    folder: RunFolder
    recipe: Recipe
    result: RunResult

    @property
    def path(self) -> Path:
        """The folder of its files."""
        return self.folder.path

    @property
    def test_accuracy(self) -> float:
        """Accuracy of the default rule on the test split, a fraction."""
        return self.result.test_accuracy

    @property
    def history(self) -> tuple[EpochDone, ...]:
        """Its training, epoch by epoch. Raises ValueError if the metrics are damaged."""
        return self.folder.history()

    def load(self) -> Learner:
        """Read its learner. Raises ValueError if the model is damaged, or was deleted to save space."""
        return load(self.path)


def open_run(path: Path) -> Run:
    """Return a finished run. Raises ValueError if there is none at `path`, if it is damaged or has not finished."""
    folder = RunFolder.open(path)
    recipe, result = folder.recipe(), folder.result()
    if result is None:
        raise ValueError(f"{path} has not finished; resume it with: onward train --resume {path}")
    folder.metrics()  # to raise the error of damaged metrics now
    return Run(folder, recipe, result)


def check_measured(run: RunFolder, measured: Accuracy, images: int) -> None:
    """Raise ValueError unless a model has the test accuracy that is in its result, up to rounding.

    Used for untied runs only: nothing else identifies their models.
    """
    result = run.result()
    assert result is not None, run.path
    recorded = {name: value for name, value in result.test_accuracy_by_rule.items() if name in measured.by_rule}
    pairs = [(name, value, measured.by_rule[name]) for name, value in recorded.items()]
    blocks = zip(result.test_accuracy_by_block or (), measured.by_block, strict=False)
    pairs += [(f"scored block {k}", value, accuracy) for k, (value, accuracy) in enumerate(blocks)]
    for name, value, accuracy in pairs:
        if abs(accuracy - value) * images > max(_FEW, _ROUNDED * images):
            raise ValueError(
                f"{run.path / 'model.safetensors'} does not belong to {run.path / 'result.json'}: {name} is "
                f"{accuracy:.2%} on the test images, where the result has {value:.2%}; put the files of one run there"
            )


def obtain(recipe: Recipe, data: Splits, options: RunOptions) -> Run:
    """Return the run of a recipe and seed below `options.runs_dir`: finished, else resumed, else trained.

    Raises what `train` and `resume` raise.
    """
    stopped = None
    for folder in _same(recipe, data, options):
        if folder.result() is not None:
            return open_run(folder.path)
        stopped = folder
    folder, result = train(recipe, options) if stopped is None else resume(stopped.path, options)
    return Run(folder, recipe, result)


def _same(recipe: Recipe, data: Splits, options: RunOptions) -> Iterator[RunFolder]:
    """Find the runs of this recipe and seed on these data; unreadable ones are skipped with a message."""
    for path in runs_of(recipe, options.runs_dir):
        try:
            folder = RunFolder.open(path)
            fits = _asked(recipe, folder.recipe()) and folder.environment().data_checksum == data.checksum
            folder.result()
        except ValueError as error:
            say(f"passed over {path}: {error}", error=True)
            continue
        if fits:
            yield folder


def _asked(recipe: Recipe, trained: Recipe) -> bool:
    return trained.identity() == recipe.identity() and trained.seed == recipe.seed
