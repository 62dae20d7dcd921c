"""Loading: a learner read back from the folder of a model or a run, in the memory layout of its training."""

from pathlib import Path

from onward.core import Learner, Origin
from onward.data import Splits, load_again
from onward.recipes import Recipe
from onward.runs.folder import RunFolder
from onward.runs.hub import fetched, is_hub_name
from onward.runs.model import check_recipe, load_model
from onward.runs.result import read_result
from onward.runs.train import check_data
from onward.storage.files import read_json

_FILES = ("model.safetensors", "model.json", "config.json", "result.json")


def load(path: Path | str) -> Learner:
    """Read a learner from the folder of a model or a run, or from a file in it; it is in evaluation mode, on the CPU.

    "user/model", where there is no such folder, is read from the Hugging Face hub. That of a run has its history.
    Raises ValueError for a path that does not exist or holds no model, for a run that has not finished, and for a model
    that is damaged, foreign or of a method that no installed package has.
    """
    if isinstance(path, str) and is_hub_name(path):
        path = fetched(path)
    learner, recipe, folder = open_model(path)
    if recipe is not None and (folder / "metrics.jsonl").is_file():
        learner.history = RunFolder(folder).history()
    if recipe is not None and (folder / "result.json").is_file():
        learner.origin = _origin(folder)
    return learner


def _origin(folder: Path) -> Origin:
    result = read_result(folder / "result.json")
    weights = read_json(folder / "model.json").get("weights_sha256", "")
    return Origin(result.recipe, result.seed, result.images, result.test_accuracy, weights=weights)


def open_model(path: Path | str) -> tuple[Learner, Recipe | None, Path]:
    """Return the learner of a folder in the memory layout of its training, its recipe if known, and the folder.

    Raises ValueError as `load` does.
    """
    folder = _folder(path)
    learner, spec = load_model(folder)
    if not (folder / "config.json").is_file():
        return learner, None, folder
    recipe = RunFolder(folder).recipe()
    check_recipe(recipe, spec, folder)
    return learner.laid_out(recipe.trainer), recipe, folder


def images_again(folder: Path, recipe: Recipe, data_dir: Path | None = None) -> Splits:
    """Read the images that a run was trained on. Raises ValueError if they have changed, or cannot be found."""
    data = load_again(recipe.data, data_dir=data_dir)
    if (folder / "environment.json").is_file():  # an export has none
        check_data(RunFolder.open(folder), data)
    return data


def _folder(path: object) -> Path:
    """Return the folder of a model, given the folder or one of its files."""
    if not isinstance(path, str | Path):
        raise ValueError(f"path is a {type(path).__name__}: give the path of a folder, such as runs/RECIPE/seed-0")
    folder = Path(path).expanduser()
    if not folder.exists():
        raise ValueError(f"{path} does not exist: name the folder of a run or of a saved model")
    if folder.is_file():
        if folder.name not in _FILES:
            raise ValueError(f"{path} is not a model file: name the folder that learner.save wrote, or of a run")
        folder = folder.parent
    if not ((folder / "model.json").exists() or (folder / "config.json").exists()):
        raise ValueError(
            f"{path} holds no model: it has no model.json; learner.save writes one, and a run of onward train has one"
        )
    return folder
