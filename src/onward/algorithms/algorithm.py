"""What every algorithm is: settings, and one function that fills the slots of a network."""

from abc import ABC, abstractmethod
from dataclasses import fields
from typing import Any, ClassVar, Literal, get_args, get_origin

from onward.core import Learner
from onward.nets.net import Net


class Algorithm(ABC):
    """A frozen dataclass: its fields are the method's settings, its docstring is what `onward list` shows."""

    standardise: ClassVar[bool] = True
    """Whether each image channel is brought to mean 0 and deviation 1, or enters with values in [0, 1]."""

    passes_gradients: ClassVar[bool] = True
    """Whether a gradient could pass from block to block if nothing stopped it; deep supervision needs that."""

    def __post_init__(self):
        check_choices(self)

    @abstractmethod
    def __call__(self, net: Net, num_classes: int) -> Learner:
        """Fill the slots of a network; raise ValueError if the method cannot train it."""


def check_choices(settings: Any) -> None:
    """Raise ValueError where a field that allows certain values only has another one."""
    for field in fields(settings):
        value = getattr(settings, field.name)
        if get_origin(field.type) is Literal and value not in get_args(field.type):
            known = ", ".join(str(choice) for choice in get_args(field.type))
            raise ValueError(f"{field.name} must be one of {known}, got {value!r}")
