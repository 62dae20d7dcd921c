"""How far the gradient of a recipe reaches, in words, measured on its network; the results are cached in a file.

`localities.json` is beside this file. `make index` adds recorded recipes that are not in it yet; to measure every
recipe, which takes minutes: `python -m onward.runs.localities`. Recipes that are not in the file are measured on
demand.
"""

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import torch

from onward.core import derive_seed, seeded
from onward.data import NAMED_SETS, Splits, as_floats
from onward.measure import Locality, locality_of
from onward.recipes import Recipe
from onward.runs.codec import encode, with_first_names
from onward.runs.model import ModelSpec, spec_for

Sizes = tuple[tuple[int, ...], int]
"""The shape of images, and the number of their classes."""

KEPT = Path(__file__).with_name("localities.json")
_DIGITS = (1, 8), 10
_BATCH = 4  # how far a gradient reaches does not depend on the images


def in_words(recipe: Recipe, sizes: Sizes | None = None) -> str:
    """Return the locality of a recipe in words, cached or measured; "" if its images are not known."""
    sizes = sizes or sizes_of(recipe)
    if sizes is None:
        return ""
    words = _kept().get(_key(recipe, sizes))
    return words if words is not None else str(measured(recipe, sizes))


def in_words_on(recipe: Recipe, data: Splits) -> str:
    """Return the locality of a recipe on data of any kind; for other data than images it is measured on a few rows."""
    if data.inputs.unit and data.task == "classes":
        return in_words(recipe, (data.shape, len(data.class_names)))
    rows = data.validation.subset(torch.arange(min(_BATCH, len(data.validation))))
    with seeded(derive_seed(0, "locality"), torch.device("cpu")):
        learner = spec_for(recipe.algorithm, recipe.net, data).build()
        return str(locality_of(learner, as_floats(rows.pixels), rows.labels))


def measured(recipe: Recipe, sizes: Sizes) -> Locality:
    """Build the learner of a recipe and measure its locality on random images."""
    shape, classes = sizes
    names = tuple(str(k) for k in range(classes))
    spec = ModelSpec(recipe.algorithm, recipe.net, shape, names, (0.5,) * shape[0], (0.5,) * shape[0])
    with seeded(derive_seed(0, "locality"), torch.device("cpu")):
        return locality_of(spec.build(), torch.rand(_BATCH, *shape), torch.arange(_BATCH) % classes)


def kept(recipe: Recipe) -> str:
    """Return the locality of a recipe in words if it has been measured, else ""."""
    sizes = sizes_of(recipe)
    return "" if sizes is None else _kept().get(_key(recipe, sizes), "")


def write(recipes: Iterable[Recipe], also: Iterable[Recipe] = ()) -> None:
    """Rewrite the file for these recipes, keeping earlier measurements; of `also` only those."""
    words_of = {}
    for recipe in recipes:
        sizes = sizes_of(recipe)
        if sizes is not None and _key(recipe, sizes) not in words_of:
            words_of[_key(recipe, sizes)] = in_words(recipe, sizes)
    for recipe in also:
        if kept(recipe):
            words_of[_key(recipe, sizes_of(recipe))] = kept(recipe)
    lines = [f"{json.dumps(key)}: {json.dumps(words)}" for key, words in sorted(words_of.items())]
    KEPT.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8", newline="\n")
    _kept.cache_clear()


def sizes_of(recipe: Recipe) -> Sizes | None:
    """Return the sizes of a recipe's images; None for a user's own images."""
    if recipe.data.name == "digits":
        (channels, side), classes = _DIGITS
    else:
        named = next((named for named in NAMED_SETS if named.name == recipe.data.name), None)
        if named is None:
            return None
        channels, side, classes = named.channels, named.default_size, named.num_classes
    side = recipe.data.size or side
    return (channels, side, side), classes


def _key(recipe: Recipe, sizes: Sizes | None) -> str:
    what = [with_first_names(encode(recipe.algorithm)), with_first_names(encode(recipe.net)), sizes]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


@cache
def _kept() -> dict[str, str]:
    return json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}


if __name__ == "__main__":
    from onward.recipes import RECIPES

    write(RECIPES)
