"""What a training step costs: what `onward measure` and a comparison have measured, as their files hold it."""

from dataclasses import dataclass, field

from onward.costs.spikes import Spikes
from onward.measure import Held, Measured, PeakRate
from onward.runs.environment import Machine
from onward.storage.typed import ABSENT


@dataclass(frozen=True)
class StepOperations:
    """Floating point operations of a step; `ideal` is what a greedy step cannot go below."""

    total: int
    ideal: int
    by_block: tuple[int, ...]


@dataclass(frozen=True)
class StepMemory:
    """Bytes of tensors at the peak of a step: all of them, by category, the largest ones; and the least possible."""

    peak: int
    by_category: dict[str, int]
    largest: tuple[Held, ...]
    floor: int


@dataclass(frozen=True)
class PhaseSeconds:
    """Median seconds of a phase of a block's step; block None: of no block, such as preparing the input."""

    block: int | None
    phase: str
    seconds: float


@dataclass(frozen=True)
class StepEnergy:
    """Energy of a step in joules: counted, for what is computed and moved, and measured where there is a meter."""

    macs: dict[str, int]
    bytes_moved: int
    compute_joules: float
    memory_joules: float
    joules: float
    measured: Measured | None = None


@dataclass(frozen=True)
class ProcessMemory:
    """Bytes that a process held before its first step and at most; `reserved` on CUDA; or the error that it died of."""

    before: int | None = field(default=None, metadata=ABSENT)
    peak: int | None = field(default=None, metadata=ABSENT)
    reserved: int | None = field(default=None, metadata=ABSENT)
    error: str | None = field(default=None, metadata=ABSENT)


@dataclass(frozen=True)
class StepCost:
    """Costs of a training step; the fields after `spikes` are None where they were not requested."""

    name: str
    flops: StepOperations
    memory: StepMemory
    step_seconds: float
    """Median of `steps`."""
    steps: tuple[float, ...]
    images_per_second: float
    fraction_of_peak: float
    """Of the machine's best rate in large products."""
    phases: tuple[PhaseSeconds, ...]
    energy: StepEnergy
    spikes: Spikes | None = None
    """Of a prediction; None where nothing spikes."""
    process: ProcessMemory | None = field(default=None, metadata=ABSENT)
    """A process of its own that trains so."""
    network: str | None = field(default=None, metadata=ABSENT)
    beside: str | None = field(default=None, metadata=ABSENT)
    """The recipe whose network and batch it took."""
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
