"""Recipes by name: onward's own, those of installed packages, and rows of a file."""

import importlib.util
import itertools
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType

from onward import registry
from onward.recipes import CONTROLS, RECIPES, ROWS, Recipe, find, find_retired, nearest
from onward.screen import likely, say

__all__ = ["RECIPES", "find_recipe", "import_file", "imported_files", "known_recipes", "listed_recipes"]


def find_recipe(name: str) -> Recipe:
    """Return a recipe by name, or by `path/to/rows.py:NAME`; CONTROL-NAME is a control of it.

    Former names are known too; retired rows are found with a note on standard error. Raises ValueError for an unknown
    name, with similar ones, for a control that the recipe cannot have, and for a file that cannot be run or has no such
    row.
    """
    file, colon, row = name.rpartition(":")
    if colon and file.endswith(".py"):
        return _row(import_file(Path(file)), row)
    recipes = known_recipes()
    recipe = find(name, recipes) or _of_files(name)
    if recipe is None and (recipe := find_retired(name)) is not None:
        about = "retired: it was never trained, is in no published table, and `onward list` does not show it"
        say(f"recipe {name!r} is {about}; the nearest that is listed is {nearest(name)}", error=True)
    if recipe is None:
        raise ValueError(_not_found(name, recipes))
    return recipe


def _not_found(name: str, recipes: Mapping[str, Recipe]) -> str:
    head, dash, row = name.partition("-")
    suggestion = likely(name, recipes)
    if dash and head in CONTROLS and not suggestion:
        suggestion = likely(row, recipes)
    return f"unknown recipe {name!r}{suggestion}; `onward list` shows all"


def known_recipes() -> dict[str, Recipe]:
    """Return the recipes by name, those that other packages registered too.

    Raises ValueError if a package cannot be imported, or two packages have a recipe of the same name.
    """
    known = {recipe.name: recipe for recipe in RECIPES}
    for value in registry.RECIPES.values().values():
        for recipe in _rows(value):
            if known.setdefault(recipe.name, recipe) != recipe:
                raise ValueError(f"two packages have a recipe {recipe.name!r}: uninstall one of them")
    return known


def listed_recipes() -> dict[str, Recipe]:
    """Return the known recipes by name, and those that imported files have and did not register; raises as they do."""
    known = known_recipes()
    for module in registry.imported_modules():
        for recipe in _recipes_of(module).values():
            known.setdefault(recipe.name, recipe)
    return known


def import_file(path: Path) -> ModuleType:
    """Run a Python file that the user named, once, so that what it registers is known.

    Raises ValueError for a file that does not exist or fails.
    """
    if not path.is_file():
        raise ValueError(f"{path} does not exist; name a Python file with recipes")
    name = first = f"{registry.FILE_PREFIX}{path.resolve().stem}"
    for count in itertools.count(2):  # files of other folders may have this name
        known = sys.modules.get(name)
        if known is None:
            break
        if known.__file__ == str(path.resolve()):
            return known
        name = f"{first}_{count}"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    assert spec is not None and spec.loader is not None, path
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses need their module in sys.modules
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ValueError(f"{path} cannot be imported ({type(error).__name__}: {error})") from error
    return module


def imported_files() -> list[Path]:
    """Return the Python files that were imported by `import_file`, in their order."""
    named = (module.__file__ for module in registry.imported_modules())
    return [Path(file) for file in named if file]


def _row(module: ModuleType, name: str) -> Recipe:
    """Return a recipe of a module by its name or that of its variable."""
    recipes = _recipes_of(module)
    recipe = find(name, recipes)
    if recipe is None:
        names = ", ".join(sorted(recipes)) or "none at all"
        raise ValueError(f"{module.__file__} has no recipe {name!r}{likely(name, recipes)}; it has {names}")
    return recipe


def _of_files(name: str) -> Recipe | None:
    """Return a recipe that an imported file has and did not register; None if there is none."""
    modules = registry.imported_modules()
    return next((row for module in modules if (row := find(name, _recipes_of(module))) is not None), None)


def _recipes_of(module: ModuleType) -> dict[str, Recipe]:
    """Return the recipes of a module by their names and those of their variables."""
    rows = (recipe for value in vars(module).values() for recipe in _rows(value))
    recipes = {recipe.name: recipe for recipe in rows if recipe.name not in ROWS}
    return recipes | {key: value for key, value in vars(module).items() if isinstance(value, Recipe)}


def _rows(value: object) -> Iterable[Recipe]:
    if isinstance(value, Recipe):
        return (value,)
    return [each for each in value if isinstance(each, Recipe)] if isinstance(value, tuple | list) else ()
