"""How far the gradient of a recipe reaches, in words, measured on its network; what was measured is kept in a file.

`localities.json` lies beside this file and is made anew by `make index`; what it does not have is measured when asked.
"""

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import torch

from onward.core import Learner, derive_seed, seeded
from onward.data import NAMED_SETS
from onward.measure import Locality, locality_of
from onward.recipes import Recipe
from onward.runs.codec import encode
from onward.runs.model import ModelSpec

KEPT = Path(__file__).with_name("localities.json")
_DIGITS = (1, 8), 10
_BATCH = 4  # how far a gradient reaches does not depend on the images


def in_words(recipe: Recipe) -> str:
    """Return the locality of a recipe in words, as kept or else measured; nothing where its images are not known."""
    sizes = _sizes(recipe)
    if sizes is None:
        return ""
    found = _kept().get(_key(recipe))
    return found if found is not None else str(measured(recipe))


def measured(recipe: Recipe) -> Locality:
    """Build the learner of a recipe on a known image set, and measure its locality."""
    sizes = _sizes(recipe)
    assert sizes is not None, f"{recipe.data.name} is no image set of known size"
    shape, classes = sizes
    names = tuple(str(k) for k in range(classes))
    spec = ModelSpec(recipe.algorithm, recipe.net, shape, names, (0.5,) * shape[0], (0.5,) * shape[0])
    return of_learner(spec.build(), shape, classes)


def of_learner(learner: Learner, shape: tuple[int, int, int], classes: int) -> Locality:
    """Measure the locality of a learner for images of a shape; it is left as it is."""
    with seeded(derive_seed(0, "locality"), learner.device):
        images = torch.rand(_BATCH, *shape, device=learner.device)
        return locality_of(learner, images, torch.arange(_BATCH, device=learner.device) % classes)


def write(recipes: Iterable[Recipe]) -> None:
    """Make the file for these recipes anew; what was measured before is kept. Delete the file to measure all again."""
    found = {}
    for recipe in recipes:
        if _sizes(recipe) is not None and _key(recipe) not in found:
            found[_key(recipe)] = in_words(recipe)
    lines = [f"{json.dumps(key)}: {json.dumps(words)}" for key, words in sorted(found.items())]
    KEPT.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8", newline="\n")
    _kept.cache_clear()


def _sizes(recipe: Recipe) -> tuple[tuple[int, int, int], int] | None:
    """Return the shape of a recipe's images and the number of their classes; None for images of one's own."""
    if recipe.data.name == "digits":
        (channels, side), classes = _DIGITS
    else:
        named = next((named for named in NAMED_SETS if named.name == recipe.data.name), None)
        if named is None:
            return None
        channels, side, classes = named.channels, named.default_size, named.num_classes
    side = recipe.data.size or side
    return (channels, side, side), classes


def _key(recipe: Recipe) -> str:
    what = [encode(recipe.algorithm), encode(recipe.net), _sizes(recipe)]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


@cache
def _kept() -> dict[str, str]:
    return json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
