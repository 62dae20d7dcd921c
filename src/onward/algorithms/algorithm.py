"""The base class of algorithms: settings, and one function that fills the slots of a network."""

from abc import ABC, abstractmethod
from typing import ClassVar

from onward import registry
from onward.core import Learner, check_fields
from onward.nets.net import Net


class Algorithm(ABC):
    """A frozen dataclass: its fields are the method's settings, its docstring is what `onward list` shows.

    Fields are checked against their types and ranges. Raises ValueError for one outside them.
    """

    registered_in: ClassVar[registry.Registry] = registry.ALGORITHMS

    standardize: ClassVar[bool] = True
    """Whether each image channel is brought to mean 0 and deviation 1, or enters with values in [0, 1]."""

    passes_gradients: ClassVar[bool] = True
    """Whether a gradient could pass from block to block if nothing stopped it; deep supervision needs that."""

    def __post_init__(self):
        check_fields(self)

    @abstractmethod
    def __call__(self, net: Net, num_classes: int) -> Learner:
        """Fill the slots of a network; raise ValueError if the method cannot train it."""
