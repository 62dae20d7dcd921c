"""Injection: an unchanged learner computes and learns on a noisy chip, inside a `with`."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

from onward.core import Learner, check_value
from onward.core.ranges import Seed
from onward.hardware.chip import Chip, Clock, label
from onward.hardware.hooks import NoisyPixels, NoisySlot, NoisyWrites, Slot, slots
from onward.hardware.noise import Noise

_NOISY: WeakSet[Learner] = WeakSet()


@dataclass(frozen=True)
class Touched:
    """The tensors that one noise acts on, and how often it has acted so far."""

    noise: Noise
    names: tuple[str, ...]
    """Weights, or the modules whose input or output is disturbed."""
    values: int
    """Number of weights; 0 at sites whose size depends on the batch."""
    label: str = field(repr=False)
    counts: Counter[str] = field(repr=False)

    @property
    def uses(self) -> int:
        """How many tensors were disturbed so far; a noise without strength disturbs none."""
        return self.counts[self.label]

    def __str__(self) -> str:
        size = f", {self.values} values" if self.values else ""
        return f"{self.noise} on {self.noise.site}: {', '.join(self.names)}{size}; acted {self.uses} times"


@dataclass(frozen=True)
class Report:
    """The tensors that a `with noisy(...)` disturbs, noise by noise, in the order given."""

    touched: tuple[Touched, ...]

    def __str__(self) -> str:
        return "\n".join(str(entry) for entry in self.touched)


@contextmanager
def noisy(learner: Learner, noises: Noise | Sequence[Noise], *, seed: int, programming: int = 0) -> Iterator[Report]:
    """Run a learner, and its training, on the chip of this seed; the report lists the disturbed tensors.

    Noises act together, at one site in the order given. Weights are those of two or more dimensions in body, goodness
    and auxiliary; an optimizer has the programmed values, and a body reads them through the chip.
    Gradients pass every noise unchanged: its draws are not known to the training, so the gradient at the noisy
    weight is applied to the programmed one. `programming` numbers the events in which the weights were
    written to the chip.

    On leaving, also by an exception, only the learned weights remain. Noise without strength is skipped, so that the
    result is that of the clean learner, bit for bit. In a training step, draws depend on (seed, step, block); a resumed
    training on the same chip gives the same result.

    Raises ValueError if a noise acts on nothing, for what is no noise, no learner or no seed, and for a learner that is
    noisy already.
    """
    if not isinstance(learner, Learner):
        raise ValueError(f"a chip computes what a learner does, got {type(learner).__name__}: give onward.load(folder)")
    seed, labeled = check_value("seed", seed, Seed), label(_checked(noises))
    if learner in _NOISY:
        raise ValueError("this learner is noisy already; give all noises to one noisy(...)")
    all_slots, chip = slots(learner), Chip(seed, programming)
    report = Report(tuple(_touch(all_slots, noise, name, chip.uses) for name, noise in labeled))
    sites = ("pixels", "inputs", "activities", "weights", "updates", "memory")
    acting = {site: [item for item in labeled if item.noise.site == site and not item.noise.ideal] for site in sites}
    with ExitStack() as stack:
        _NOISY.add(learner)
        stack.callback(_NOISY.discard, learner)
        if acting["pixels"]:
            NoisyPixels(chip, acting["pixels"]).install(learner.prepare, stack)
        clocks = {slot.name: Clock() for slot in all_slots}
        for slot in all_slots if any(acting.values()) else []:
            NoisySlot(slot, chip, clocks[slot.name], acting).install(stack)
        if acting["updates"] or acting["memory"]:
            weights = {id(weight.parameter): weight.name for slot in all_slots for weight in slot.weights}
            bodies = {weight.name: clocks[f"blocks.{slot.block}.body"] for slot in all_slots for weight in slot.weights}
            NoisyWrites(weights, lambda name: bodies[name].step, chip, acting).install(stack)
        yield report


def _checked(noises: Noise | Sequence[Noise]) -> list[Noise]:
    """Return noises as a list. Raises ValueError for none, and for other things, with what was probably meant."""
    if isinstance(noises, Noise):
        return [noises]
    preset = getattr(noises, "noises", None)
    if isinstance(noises, str) or preset is not None:
        name = noises if isinstance(noises, str) else getattr(noises, "name", "")
        raise ValueError(f"a device by name is preset({name!r}).noises; other noises are such as Mismatch(0.1)")
    given: list[Any] = list(noises) if isinstance(noises, Sequence) else [noises]
    odd = next((each for each in given if not isinstance(each, Noise)), None)
    if odd is not None or not given:
        said = getattr(odd, "__name__", repr(odd)) if given else "none"
        raise ValueError(f"noise is one or several of onward.hardware, such as Mismatch(0.1), got {said}")
    return given


def is_noisy(learner: Learner) -> bool:
    """Whether a learner computes on a chip at this moment, inside a `with noisy(...)`."""
    return learner in _NOISY


def _touch(all_slots: Sequence[Slot], noise: Noise, label: str, counts: Counter[str]) -> Touched:
    """Return the tensors that a noise acts on. Raises ValueError if there are none."""
    if noise.site == "pixels":
        return Touched(noise, ("prepare",), 0, label, counts)
    if noise.site in ("inputs", "activities"):
        return Touched(noise, tuple(slot.name for slot in all_slots if slot.is_body), 0, label, counts)
    learned_only = noise.site in ("updates", "memory")
    reached = {
        weight.name: weight.parameter.numel()
        for slot in all_slots
        for weight in slot.weights
        if weight.parameter.requires_grad or not learned_only
    }
    if not reached:
        kind = "trainable weight" if learned_only else "weight"
        raise ValueError(
            f"{type(noise).__name__} acts on {noise.site}, but this learner has no {kind} of two or more dimensions"
        )
    return Touched(noise, tuple(reached), sum(reached.values()), label, counts)
