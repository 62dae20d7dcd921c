"""The description and history of a learner: how it was built, and the accuracy and cost of each epoch."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from onward.core.labels import Task


@dataclass(frozen=True)
class EpochDone:
    """One epoch, validated: losses by the block that ends each span, accuracies as fractions, seconds, bytes.

    In regression the accuracies are R2; with several labels, the share of samples with all labels right.
    """

    epoch: int
    losses: dict[int, float]
    validation_accuracy: float
    block_accuracy: tuple[float, ...]
    images_per_second: float
    train_seconds: float
    peak_memory_bytes: int
    memory_meter: str
    task: Task = "classes"


@dataclass(frozen=True)
class Origin:
    """The run that a learner was read from, and its accuracy, or R2, on the test split (as a fraction)."""

    recipe: str
    seed: int
    data: str
    test_accuracy: float
    weights: str
    """Digest of its weights; the learner may have been trained further since."""


class Description(ABC):
    """How to build a learner again, without its weights; a learner with a description can be saved."""

    class_names: tuple[str, ...]

    @abstractmethod
    def save(self, learner: nn.Module, folder: Path | str) -> None:
        """Write a learner that was built from this description into a folder. Raises ValueError and OSError."""

    @abstractmethod
    def shortened(self, blocks: int, rule: str) -> "Description":
        """Return the description of the first blocks of the same learner, with one inference rule."""

    @abstractmethod
    def push_to_hub(self, learner: nn.Module, repo: str, *, private: bool, token: str | None) -> str:
        """Push a learner that was built from this description to the hub; return its address."""
