"""Recipes: rows as literals, method by method, and their controls.

The rows are built on first access, as most uses of the library need none.
"""

from typing import TYPE_CHECKING, Any

from onward.recipes.controls import CONTROLS, control
from onward.recipes.literals import literal
from onward.recipes.names import current, find, find_retired, former, nearest
from onward.recipes.recipe import Published, Recipe

if TYPE_CHECKING:
    from onward.recipes.rows import RECIPES, ROWS

__all__ = [
    "CONTROLS",
    "RECIPES",
    "ROWS",
    "Published",
    "Recipe",
    "control",
    "current",
    "find",
    "find_retired",
    "former",
    "literal",
    "nearest",
]


def __getattr__(name: str) -> Any:
    """Build the rows on first use. Raises AttributeError for an unknown name."""
    if name not in ("RECIPES", "ROWS"):
        raise AttributeError(f"module 'onward.recipes' has no attribute {name!r}")
    from onward.recipes import rows

    return getattr(rows, name)
