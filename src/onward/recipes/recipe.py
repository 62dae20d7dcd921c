"""A recipe: everything that decides a training's result, but the machine."""

import re
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Annotated, Any, ClassVar, TypeVar

import tyro

from onward import registry
from onward.algorithms import Algorithm, Backprop, DeepSupervision
from onward.core import Count, Seed, Share, TrainerSettings, check_fields
from onward.data import DataSettings
from onward.nets import Architecture

T = TypeVar("T")
NotAFlag = Annotated[T, tyro.conf.Fixed, tyro.conf.Suppress]
"""Belongs to the recipe's identity: the command line neither shows nor changes it."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """A number to meet: test accuracy as a fraction, and where it was printed."""

    test_accuracy: Share
    source: str
    deviation: Share | None = None
    """Its standard deviation over `seeds` trials, a fraction, where that was printed."""
    seeds: Count | None = None
    """How many trials it is the mean of."""

    def __post_init__(self):
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """An algorithm on a network and data, with its budget. Raises ValueError for an impossible value."""

    registered_in: ClassVar[registry.Registry] = registry.RECIPES

    name: NotAFlag[str]
    """What `onward train` calls it."""
    description: NotAFlag[str]
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
    """Times through the training split (cascade: for each span)."""
    batch_size: Count = 128
    """Images per step."""
    seed: Seed = 0
    """Decides weights, order, augmentation and dropout; the split has its own seed."""
    published: NotAFlag[Published | None] = None
    """The number this recipe must meet."""
    backprop: NotAFlag[str | None] = None
    """The recipe that trains the same network on the same budget by backpropagation."""

    def __post_init__(self):
        check_fields(self)

    def identity(self) -> "Recipe":
        """Return what decides the result but for the seed: two recipes of one identity are the same training."""
        return replace(self, name="", description="", published=None, backprop=None, seed=0)

    def on_other_images(self, data: DataSettings, label: str) -> "Recipe":
        """Return this recipe on other images, called METHOD-on-LABEL: it has no published number and no control."""
        words = [word for word in self.name.split("-") if word != self.data.name]
        return replace(
            self,
            name=f"{'-'.join(words)}-on-{re.sub(r'[^A-Za-z0-9_.]+', '_', label).strip('.') or 'images'}",
            description=f"{self.name} on the images of {label}",
            data=data,
            published=None,
            backprop=None,
        )

    def budget(self) -> tuple[Any, ...]:
        """Return what a control has to share: network, data, epochs, batch size and precision."""
        return self.net, self.data, self.epochs, self.batch_size, self.trainer.precision

    def differences(self, other: "Recipe") -> list[str]:
        """Return the settings in which the identity differs from another's, a phrase each: `epochs 8, not 4`."""
        ours, theirs = settings(self.identity()), settings(other.identity())
        places = [place for place in dict.fromkeys((*ours, *theirs)) if ours.get(place) != theirs.get(place)]
        return [f"{place} {ours.get(place, 'none')}, not {theirs.get(place, 'none')}" for place in places]


def settings(value: Any, place: str = "") -> dict[str, Any]:
    """Return the settings inside a dataclass by their place, as in `trainer.learning_rate`; a class by its name."""
    if not is_dataclass(value):
        return {place: value}
    found: dict[str, Any] = {place: type(value).__name__} if place else {}
    for each in fields(value):
        found |= settings(getattr(value, each.name), f"{place}.{each.name}" if place else each.name)
    return found


def control(local: Recipe, *, learning_rate: float) -> Recipe:
    """Return the recipe that trains the same network on the same budget by backpropagation.

    The schedule keeps its shape: it ends at the same share of the learning rate.
    """
    assert local.backprop is not None
    return replace(
        local,
        name=local.backprop,
        description=f"Backprop, {local.description.partition(', ')[2].partition(': ')[0]}",
        algorithm=Backprop(of=local.algorithm),
        trainer=_at(learning_rate, local.trainer),
        published=None,
        backprop=None,
    )


def deep_supervision(local: Recipe, *, learning_rate: float) -> Recipe:
    """Return the recipe that trains the same objectives on the same budget with the gradient of their sum end to end.

    It is called deep_supervision-NAME after the row, and has the schedule of its backprop control.
    """
    assert local.backprop is not None
    return replace(
        local,
        name=f"deep_supervision-{local.name}",
        description=f"Deep supervision, {local.description.partition(', ')[2].partition(': ')[0]}",
        algorithm=DeepSupervision(of=local.algorithm),
        trainer=_at(learning_rate, local.trainer),
        published=None,
        backprop=None,
    )


def renamed(control: str, prefix: str) -> str:
    """Return the name of a control with another prefix than `backprop`."""
    head, _, rest = control.partition("-")
    assert head == "backprop", f"a control is called backprop-NAME, not {control}"
    return f"{prefix}-{rest}"


def _at(learning_rate: float, trainer: TrainerSettings) -> TrainerSettings:
    """Move a schedule to another learning rate: it ends at the same share of it."""
    final = learning_rate * trainer.final_learning_rate / trainer.learning_rate
    return replace(trainer, learning_rate=learning_rate, final_learning_rate=final)
