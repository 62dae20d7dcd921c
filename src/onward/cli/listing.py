"""`onward list`: what there is to choose from."""

from collections.abc import Sequence
from dataclasses import dataclass

from onward.algorithms import ALGORITHMS
from onward.cli.arguments import parse
from onward.data import DATA_SETS
from onward.recipes import RECIPES, Recipe
from onward.recipes.controls import DERIVED


@dataclass(frozen=True)
class _Nothing:
    """List algorithms, recipes and data sets."""


def run(words: Sequence[str]) -> None:
    """Name algorithms, recipes with their controls, and data sets."""
    parse(_Nothing, "list", words)
    algorithms = [(cls.__name__, (cls.__doc__ or "").splitlines()[0]) for cls in ALGORITHMS]
    _print_columns("algorithms", algorithms)
    print("recipes: name, the control that trains the same network by backprop, description")
    _print_recipes()
    _print_columns("for every RECIPE with a control backprop-NAME, also", list(DERIVED.items()))
    _print_columns("data sets", DATA_SETS)


def _print_recipes() -> None:
    """Print a line for each recipe beside its control, method by method."""
    controls = {recipe.backprop for recipe in RECIPES}
    methods: dict[str, list[Recipe]] = {}
    for recipe in RECIPES:
        if recipe.name not in controls:
            methods.setdefault(type(recipe.algorithm).__name__, []).append(recipe)
    for method, rows in methods.items():
        said = rows[0].description.partition(", ")[0] + ", "  # by the title already
        _print_columns(f" {method}", [(r.name, r.backprop or "", r.description.removeprefix(said)) for r in rows])


def _print_columns(title: str, rows: Sequence[tuple[str, ...]]) -> None:
    """Print a title, and rows below it, the last column as it is."""
    print(title)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    for *cells, line in rows:
        print("  " + "".join(f"{cell:<{width}}  " for cell, width in zip(cells, widths, strict=True)) + line)
