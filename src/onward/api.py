"""The functions of `import onward` that need several rooms: carrying out recipes, finding them, loading."""

import fnmatch
import warnings
from pathlib import Path
from typing import overload

from torch import nn

from onward import data, runs
from onward.core import Learner
from onward.data import DATA_SETS, DataSettings, Splits
from onward.modules import LocalModel
from onward.modules.files import is_local
from onward.modules.hub import fetched_file
from onward.nets.recorded_pass import Feed, feed_module
from onward.recipes import Recipe
from onward.recipes.lookup import find_recipe, known_recipes
from onward.registry import DATA
from onward.runs import loading
from onward.runs.finished import Run
from onward.runs.hub import is_hub_name
from onward.training import Logger


def train(
    recipe: Recipe | str,
    *,
    runs_dir: Path | str = "runs",
    data_dir: Path | str | None = None,
    device: str = "auto",
    checkpoint_every: float = 60.0,
    workers: int | None = None,
    verbose: bool = True,
    logger: Logger | None = None,
) -> Run:
    """Carry out a recipe, or the one of a name, in a new folder `runs_dir/RECIPE/seed-N`; return the finished run.

    `data_dir` holds a folder of parquet files for each named data set (default: ONWARD_DATA, else the hub); a
    checkpoint is written every `checkpoint_every` seconds; `workers` processes decode a streamed set. `verbose` shows
    the training on standard error, and `logger` takes the numbers of every epoch: `onward.training.TensorBoard`, or an
    `onward.training.Logger` of your own. Raises ValueError for a user's error, OSError if the folder cannot be
    written, and `onward.runs.Interrupted` when a signal stopped it after a checkpoint: `resume` goes on from there.
    """
    options = _options(runs_dir, data_dir, device, checkpoint_every, workers)
    if isinstance(recipe, str):
        recipe = find_recipe(recipe)
    if not isinstance(recipe, Recipe):
        raise ValueError(f"recipe is a {type(recipe).__name__}: give a name that list_recipes() has, or a Recipe")
    folder, result = runs.train(recipe, options, verbose=verbose, logger=logger)
    return Run(folder, recipe, result)


def resume(
    run: Path | str,
    *,
    data_dir: Path | str | None = None,
    device: str = "auto",
    checkpoint_every: float = 60.0,
    workers: int | None = None,
    verbose: bool = True,
    logger: Logger | None = None,
) -> Run:
    """Go on with a run that was stopped, from its last checkpoint; a finished one is returned as it is.

    The arguments are those of `train`. Raises ValueError for a folder that is no run or is damaged, if another process
    trains the run, or if the images are not those it began with.
    """
    if not isinstance(run, str | Path):
        raise ValueError(f"run is a {type(run).__name__}: give the path of a run's folder, such as runs/RECIPE/seed-0")
    options = _options("runs", data_dir, device, checkpoint_every, workers)
    folder, result = runs.resume(Path(run), options, verbose=verbose, logger=logger)
    return Run(folder, folder.recipe(), result)


def recipe(name: str) -> Recipe:
    """Return a recipe by name, or by `path/to/rows.py:NAME`; `dataclasses.replace` changes a copy of it.

    Raises ValueError naming the nearest ones if there is none.
    """
    if not isinstance(name, str):
        raise ValueError(f"name is a {type(name).__name__}: give the name of a recipe; list_recipes() has all")
    return find_recipe(name)


def list_recipes(pattern: str = "*") -> list[str]:
    """Return the names of all recipes, or of those that fit a pattern such as "asge*" or "*cifar10*", in order.

    Raises ValueError for what is no text.
    """
    if not isinstance(pattern, str):
        raise ValueError(f"pattern is a {type(pattern).__name__}: give a text such as 'asge*'")
    return sorted(fnmatch.filter(known_recipes(), pattern))


@overload
def load(path: Path | str) -> Learner: ...


@overload
def load(path: Path | str, *, model: nn.Module, feed: Feed = feed_module) -> LocalModel: ...


def load(path: Path | str, *, model: nn.Module | None = None, feed: Feed = feed_module) -> Learner | LocalModel:
    """Read a learner from the folder of a model or a run, or from a file in it; it is in evaluation mode, on the CPU.

    That of a run has its history. "user/model", where there is no such folder, is read from the Hugging Face hub:
    weights and JSON, never code. What `onward.local` made is read, from its file or the hub, into a `model` of the same
    kind, called by the same `feed`.
    Raises ValueError for a path that does not exist or holds no model, for a run that has not finished, and for a model
    that is damaged, foreign or of a method that no installed package has.
    """
    if model is not None:
        return LocalModel.load(fetched_file(str(path)) if is_hub_name(path) else path, model, feed=feed)
    if isinstance(path, DataSettings) or (isinstance(path, str) and _names_data(path)):
        warnings.warn("onward.load reads models: images are read by onward.load_data", DeprecationWarning, stacklevel=2)
        return load_data(path)  # pyright: ignore[reportReturnType]
    if isinstance(path, str | Path) and is_local(path):
        raise ValueError(f"{path} holds the weights of a model of your own: give the model too, load(path, model=...)")
    return loading.load(path)


def load_data(
    name_or_settings: DataSettings | str, *, data_dir: Path | str | None = None, workers: int | None = None
) -> Splits:
    """Read, split and check an image set, by name, by the path of a folder with a sub-folder per class, or by settings.

    `data_dir` (default: ONWARD_DATA) holds named sets as parquet files; what is not there comes from the hub. Raises
    ValueError with the file, folder or name at fault and what to do about it.
    """
    settings = name_or_settings
    if isinstance(settings, str | Path):
        settings = DataSettings(name=str(settings))
    if not isinstance(settings, DataSettings):
        raise ValueError(
            f"name_or_settings is a {type(settings).__name__}: give a name such as 'mnist', a folder, or DataSettings"
        )
    return data.load(settings, data_dir=None if data_dir is None else Path(data_dir), workers=workers)


def _names_data(text: str) -> bool:
    return (text in dict(DATA_SETS) or text in DATA) and not Path(text).exists()


def _options(
    runs_dir: Path | str, data_dir: Path | str | None, device: str, checkpoint_every: float, workers: int | None
) -> runs.RunOptions:
    return runs.RunOptions(
        data_dir=None if data_dir is None else Path(data_dir),
        runs_dir=Path(runs_dir),
        device=device,
        checkpoint_every=checkpoint_every,
        workers=workers,
    )
