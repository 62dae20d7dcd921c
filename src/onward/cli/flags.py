"""The flags of a recipe: all settings that a command line may change."""

from dataclasses import dataclass, fields, replace
from typing import Literal

from onward.algorithms import Algorithm
from onward.core import Count, NonNegative, Seed, TrainerSettings
from onward.data import DataSettings
from onward.nets import Architecture
from onward.recipes import Recipe


@dataclass(frozen=True, kw_only=True)
class RecipeFlags:
    """The settings of a recipe that are flags."""

    algorithm: Algorithm
    """What each block learns."""
    net: Architecture
    """The network."""
    data: DataSettings
    """The data set and its splits."""
    trainer: TrainerSettings
    """How every block is optimized."""
    epochs: Count
    """Passes over the training split (cascade: for each span)."""
    batch_size: Count
    """Images per step."""
    seed: Seed
    """Decides weights, order, augmentation and dropout; the split has its own seed."""
    class_weights: Literal["balanced"] | tuple[NonNegative, ...] | None
    """Times the loss of a sample: balanced, or a number for each class, in the order of their names."""

    def applied(self, recipe: Recipe) -> Recipe:
        """Return a recipe with these settings. Raises ValueError for an impossible value."""
        return replace(recipe, **{field.name: getattr(self, field.name) for field in fields(self)})


def flags_of(recipe: Recipe) -> RecipeFlags:
    """Return the settings of a recipe that are flags, as they are."""
    return RecipeFlags(**{field.name: getattr(recipe, field.name) for field in fields(RecipeFlags)})
