"""Whether recipes can be compared: on the same images, every method on a network that it fits."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import torch

from onward.costs.methods import short
from onward.data import Augmentation, Splits
from onward.recipes import Recipe
from onward.runs.model import prepared


def check_same_images(recipes: Sequence[Recipe]) -> None:
    """Raise ValueError unless all train and test on the same images and each is named once."""
    names = [recipe.name for recipe in recipes]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"recipe {name} is named twice")
    first, *others = [replace(recipe.data, augmentation=Augmentation()) for recipe in recipes]
    for name, data in zip(names[1:], others, strict=True):
        if data != first:
            unlike = "; ".join(f"{part} {short(b)}, not {short(a)}" for part, a, b in _unlike(first, data))
            raise ValueError(f"{name} has other images than {names[0]}: {unlike}; compare recipes of one data set")


def check_networks(recipes: Sequence[Recipe], data: Splits) -> None:
    """Raise ValueError unless every method fits its network, as with `--same` it may not, before any is trained."""
    for recipe in recipes:
        try:
            prepared(recipe, data, torch.device("cpu"))
        except ValueError as error:
            raise ValueError(
                f"{recipe.name} with the network {short(recipe.net)}: {error}; nothing was trained: give `onward "
                "train` what a recipe needs, and `onward compare` the folders of the runs"
            ) from None


def _unlike(one: Any, other: Any) -> list[tuple[str, Any, Any]]:
    pairs = [(f.name, getattr(one, f.name), getattr(other, f.name)) for f in fields(one)]
    return [pair for pair in pairs if pair[1] != pair[2]]
