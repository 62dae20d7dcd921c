"""The recipes that the command line knows by name."""

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
