"""Recipes: a file per method with a function per published row, and the tuple RECIPES of them and their controls."""

from onward.recipes import asge, deeper_forward, deeper_forward_tables, distance_forward, forward_forward
from onward.recipes.recipe import Published, Recipe

RECIPES: tuple[Recipe, ...] = (
    *deeper_forward.RECIPES,
    *deeper_forward_tables.RECIPES,
    *forward_forward.RECIPES,
    *asge.RECIPES,
    *distance_forward.RECIPES,
)
"""Every recipe; the first is the default of `onward train`."""

__all__ = ["RECIPES", "Published", "Recipe"]
