"""A recipe: everything that determines the result of a training, except the machine."""

import re
from dataclasses import dataclass, fields, is_dataclass
from pathlib import PurePath
from typing import Any, ClassVar, Literal

from onward import registry
from onward.algorithms import Algorithm
from onward.core import Count, NonNegative, Seed, Share, TrainerSettings, check_fields
from onward.data import DataSettings
from onward.nets import Architecture

Scale = Literal["", "cpu", "gpu", "shared"]
"""Scale of a row: as published (or digits, in seconds); cpu: minutes on two cores; gpu: one GPU; shared: one budget for
many methods."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """A published number: test accuracy as a fraction, and its source."""

    test_accuracy: Share
    source: str
    deviation: Share | None = None
    """Its standard deviation over `seeds` trials, a fraction, if published."""
    seeds: Count | None = None
    """Number of trials of which it is the mean."""

    def __post_init__(self):
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """An algorithm on a network and data, with its budget. Raises ValueError for an impossible value."""

    registered_in: ClassVar[registry.Registry] = registry.RECIPES

    method: str = ""
    """The beginning of its name; empty: the algorithm's class."""
    variant: str = ""
    """What differs from the method's other recipes on these data, in a word or two."""
    scale: Scale = ""
    """Its scale; empty: as published."""
    name: str = ""
    """Its name on the command line: `METHOD-DATA[-VARIANT][-SCALE]`, unless another is given."""
    description: str = ""
    """One line for `onward list`."""
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
    batch_size: Count = 128
    """Images per step."""
    seed: Seed = 0
    """Seed of weights, order, augmentation and dropout; the split has its own seed."""
    class_weights: Literal["balanced"] | tuple[NonNegative, ...] | None = None
    """Factor of a sample's loss: balanced, so that all classes have the same weight, or a number for each class, in the
    order of their names."""
    published: Published | None = None
    """The published number that this recipe is compared with."""
    backprop_rate: NonNegative | None = None
    """Learning rate of its controls by backpropagation; None: its own."""

    def __post_init__(self):
        check_fields(self)
        if not self.name:
            object.__setattr__(self, "name", self.computed_name())

    def computed_name(self) -> str:
        """Return `METHOD-DATA[-VARIANT][-SCALE]`."""
        method = self.method or type(self.algorithm).__name__.lower()
        words = (method, _word(PurePath(self.data.name).name), self.variant, self.scale)
        return "-".join(word for word in words if word)

    def identity(self) -> "Recipe":
        """Return all settings that determine the result, except the seed: equal identities are the same training."""
        return Recipe(
            algorithm=self.algorithm,
            net=self.net,
            data=self.data,
            trainer=self.trainer,
            epochs=self.epochs,
            batch_size=self.batch_size,
            class_weights=self.class_weights,
        )

    def on_other_images(self, data: DataSettings, label: str) -> "Recipe":
        """Return this recipe on other images, called METHOD-on-LABEL: it has no published number."""
        words = [word for word in self.name.split("-") if word != self.data.name]
        return Recipe(
            name=f"{'-'.join(words)}-on-{_word(label)}",
            description=f"{self.name} on the images of {label}",
            algorithm=self.algorithm,
            net=self.net,
            data=data,
            trainer=self.trainer,
            epochs=self.epochs,
            batch_size=self.batch_size,
            class_weights=self.class_weights,
            seed=self.seed,
            backprop_rate=self.backprop_rate,
        )

    def budget(self) -> tuple[Any, ...]:
        """Return the settings that a control must share: network, data, epochs, batch size and precision."""
        return self.net, self.data, self.epochs, self.batch_size, self.trainer.precision

    def differences(self, other: "Recipe") -> list[str]:
        """Return the settings in which the identity differs from another's, a phrase each: `epochs 8, not 4`."""
        ours, theirs = settings(self.identity()), settings(other.identity())
        unequal = [name for name in dict.fromkeys((*ours, *theirs)) if ours.get(name) != theirs.get(name)]
        named = [name for name in unequal if name != "name"]  # the name follows from algorithm and data
        return [f"{name} {ours.get(name, 'none')}, not {theirs.get(name, 'none')}" for name in named]


def settings(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return the settings inside a dataclass by their path, as in `trainer.learning_rate`; a class by its name."""
    if not is_dataclass(value):
        return {prefix: value}
    by_name: dict[str, Any] = {prefix: type(value).__name__} if prefix else {}
    for each in fields(value):
        by_name |= settings(getattr(value, each.name), f"{prefix}.{each.name}" if prefix else each.name)
    return by_name


def _word(label: str) -> str:
    """Return a label, such as the name of a folder, as part of a name."""
    return re.sub(r"[^A-Za-z0-9_.]+", "_", label).strip(".") or "images"
