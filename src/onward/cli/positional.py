"""Positional arguments: the recipe or the folder of a run that a command is given."""

from collections.abc import Sequence
from pathlib import Path

from onward.cli.usage import CommandLineError
from onward.recipes import Recipe
from onward.recipes.lookup import find_recipe
from onward.runs.model import check_model_there


def first_recipe(words: Sequence[str], command: str) -> Recipe:
    """Return the recipe that a command's first word names. Raises CommandLineError if it is missing."""
    if not words or words[0].startswith("-"):
        raise CommandLineError(f"no recipe named: onward {command} RECIPE; `onward list` shows all")
    return find_recipe(words[0])


def model_folder(path: Path) -> Path:
    """Return the folder of a model. Raises ValueError for a file in it, and for a run that has not finished."""
    if path.is_file():
        from onward.modules.files import is_local  # imports torch

        if is_local(path):
            raise ValueError(
                f"{path} holds the weights of a model of your own, whose code is not in it: load it in Python, "
                "onward.load(path, model=...), and export its module() by torch.export or torch.onnx"
            )
        raise ValueError(f"{path} is a file: name the folder of the run, {path.parent}")
    check_model_there(path)
    return path
