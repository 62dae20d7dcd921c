"""Costs of a training step, measured by `onward measure` or a comparison, as in their files."""

from dataclasses import dataclass, field

from onward.costs.spikes import Spikes
from onward.measure import Held, Measured, PeakRate
from onward.runs.environment import Machine
from onward.storage.typed import ABSENT


@dataclass(frozen=True)
class StepOperations:
    """Floating-point operations of a step; `ideal`: the lower bound of a greedy step."""

    total: int
    ideal: int
    by_block: tuple[int, ...]


@dataclass(frozen=True)
class StepMemory:
    """Bytes of tensors at the peak of a step: all, by category, the largest ones; `floor`: the least possible."""

    peak: int
    by_category: dict[str, int]
    largest: tuple[Held, ...]
    floor: int


@dataclass(frozen=True)
class PhaseSeconds:
    """Median seconds of a phase of a block; block None: work of no block, such as preparing the input."""

    block: int | None
    phase: str
    seconds: float


@dataclass(frozen=True)
class StepEnergy:
    """Energy of a step in joules: counted from operations and bytes moved, and measured if there is a meter."""

    macs: dict[str, int]
    bytes_moved: int
    compute_joules: float
    memory_joules: float
    joules: float
    measured: Measured | None = None


@dataclass(frozen=True)
class ProcessMemory:
    """Bytes of a process before its first step and at its peak; `reserved`: on CUDA; or the error that ended it."""

    before: int | None = field(default=None, metadata=ABSENT)
    peak: int | None = field(default=None, metadata=ABSENT)
    reserved: int | None = field(default=None, metadata=ABSENT)
    error: str | None = field(default=None, metadata=ABSENT)


@dataclass(frozen=True)
class StepCost:
    """Costs of a training step; the fields after `spikes` are None if they were not requested."""

    name: str
    flops: StepOperations
    memory: StepMemory
    step_seconds: float
    """Median of `steps`."""
    steps: tuple[float, ...]
    images_per_second: float
    fraction_of_peak: float
    """Share of the machine's best rate in large products."""
    phases: tuple[PhaseSeconds, ...]
    energy: StepEnergy
    spikes: Spikes | None = None
    """Spikes of a prediction; None without spiking layers."""
    process: ProcessMemory | None = field(default=None, metadata=ABSENT)
    """Memory of a process that does nothing but this training."""
    network: str | None = field(default=None, metadata=ABSENT)
    beside: str | None = field(default=None, metadata=ABSENT)
    """The recipe whose network and batch were used."""
    batch_size: int | None = field(default=None, metadata=ABSENT)
    precision: str | None = field(default=None, metadata=ABSENT)
    optimizer: str | None = field(default=None, metadata=ABSENT)
    images: str | None = field(default=None, metadata=ABSENT)


@dataclass(frozen=True)
class MeasuredSteps:
    """A step of a recipe beside its controls on one machine: what `onward measure --json` writes."""

    recipe: str
    batch_size: int
    precision: str
    data: str
    environment: Machine
    peak_rate: PeakRate
    contenders: tuple[StepCost, ...]
    stored_per_image: float | None = field(default=None, metadata=ABSENT)
    """With `cache_activations`, the most bytes of the host's memory that hold a training image at one time."""
