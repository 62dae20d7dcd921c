"""The recipes that the command line knows by name."""

from pathlib import Path

from onward.cli.words import nearest
from onward.recipes import CONTROLS, RECIPES, Recipe


def find_recipe(name: str) -> Recipe:
    """Return a recipe by name. Raises ValueError naming the nearest ones."""
    recipes = known_recipes()
    if name not in recipes:
        raise ValueError(f"unknown recipe {name!r}{nearest(name, recipes)}; `onward list` shows all")
    return recipes[name]


def known_recipes() -> dict[str, Recipe]:
    """Return the recipes and their derived controls by name."""
    return {recipe.name: recipe for recipe in (*CONTROLS, *RECIPES)}


def model_folder(path: Path) -> Path:
    """Return the folder of a model. Raises ValueError for a file in it, and for a run that has not finished."""
    if path.is_file():
        raise ValueError(f"{path} is a file: name the folder of the run, {path.parent}")
    if (path / "config.json").is_file() and not (path / "model.json").exists():
        raise ValueError(f"{path} has not finished; go on with: onward train --resume {path}")
    return path
