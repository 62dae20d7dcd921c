"""The result of a comparison, method by method: the content of its JSON file, from which page and tables are made."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from onward.compare.recovery import ChipTraining
from onward.core import EpochDone, Task
from onward.costs.step import StepCost
from onward.measure import PeakRate
from onward.runs.environment import Machine
from onward.runs.folder import epoch_of
from onward.storage.typed import ABSENT

Level = float | Literal["inf"] | None
"""Of a noise; None: a published device has no levels."""


@dataclass(frozen=True)
class Spread:
    """Accuracies as fractions, `values` [seeds][chips], with their mean; of numbers R2, of labels exact matches.

    Deviations are None where there is but one: over chips (within a seed, pooled), and over seeds (of their means).
    """

    mean: float
    chip_deviation: float | None
    seed_deviation: float | None
    values: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class UnderNoise:
    """Accuracy under a noise at one level; numbers as in `Spread`."""

    sweep: str
    level: Level
    mean: float
    chip_deviation: float | None
    seed_deviation: float | None
    values: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class OnChip:
    """Accuracy on a chip before and after learning there, and the most bytes that a step held."""

    sweep: str
    level: Level
    met: Spread
    recovered: Spread
    memory_bytes: int


@dataclass(frozen=True)
class TrainingEnergy:
    """Joules of an epoch, and to the target accuracy; None where not every seed reached it."""

    joules_per_epoch: float
    epochs_to_target: int | float | None
    joules_to_target: float | None


@dataclass(frozen=True)
class MethodResult:
    """A recipe and its finished runs: its settings, its training and its accuracies."""

    name: str
    label: str
    algorithm: str = field(default="", kw_only=True)
    description: str
    backprop: bool
    network: str
    locality: str | None = field(default=None, metadata=ABSENT, kw_only=True)
    data: str
    data_checksum: str | None = field(default=None, metadata=ABSENT, kw_only=True)
    validation_split: tuple[float, int] | None = field(default=None, metadata=ABSENT, kw_only=True)
    task: Task = field(default="classes", kw_only=True, metadata=ABSENT)
    class_names: tuple[str, ...]
    epochs: int
    batch_size: int
    precision: str
    differs: tuple[str, ...]
    """In what network, data and budget differ from those of the first method."""
    parameters: int
    train_seconds: float
    trained_on: str
    runs: tuple[str, ...]
    seeds: tuple[int, ...]
    curves: tuple[list[dict[str, Any]], ...]
    """The rows of each run's metrics as its file has them; `histories` reads them."""
    test_images: int | None = field(default=None, metadata=ABSENT, kw_only=True)
    clean: Spread
    by_block: tuple[float, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Test images by true class and by what they were taken for, all seeds together; empty for other tasks."""
    metrics: dict[str, float] = field(default_factory=dict, kw_only=True, metadata=ABSENT)
    """Further metrics without noise, means over seeds."""
    noise: tuple[UnderNoise, ...]
    recovery: tuple[OnChip, ...]
    cost: StepCost | None = field(default=None, metadata=ABSENT, kw_only=True)
    energy: TrainingEnergy | None = field(default=None, metadata=ABSENT, kw_only=True)

    @cached_property
    def histories(self) -> list[list[EpochDone]]:
        """The training of each run, epoch by epoch."""
        return [[epoch_of(row) for row in curve] for curve in self.curves]

    def under(self, sweep: str) -> list[UnderNoise]:
        """Return the accuracies at the levels of a sweep."""
        return [row for row in self.noise if row.sweep == sweep]


@dataclass(frozen=True)
class ComparedSweep:
    """A noise with the levels that were asked for, and how to draw it."""

    name: str
    title: str
    axis: str
    levels: tuple[Level, ...]
    from_zero: bool
    """Whether no noise is the level 0 of its axis."""
    random: bool
    """Whether chips differ in it."""


@dataclass(frozen=True)
class Comparison:
    """Methods side by side: what `onward compare` and `onward report` write as JSON."""

    methods: tuple[MethodResult, ...]
    sweeps: tuple[ComparedSweep, ...]
    chips: int
    seeds: tuple[int, ...]
    test_images: int
    data: str
    stream: ChipTraining | None
    environment: Machine
    controls: tuple[StepCost, ...]
    target: float | None
    peak_rate: dict[str, PeakRate | float] | None = field(default=None, metadata=ABSENT)
    """Of the machine, by precision (older files: the parts of a single one); None where no cost was measured."""

    @property
    def task(self) -> Task:
        """What all methods predict."""
        return self.methods[0].task

    @property
    def costed(self) -> bool:
        """Whether memory, time and energy of a step were measured."""
        return self.peak_rate is not None
