"""Draws: where the random numbers of a training come from, by step and by the part of the step that draws them."""

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol, runtime_checkable

import torch

from onward.core.seeds import DRAWING, derive_seed, seeded

Part = tuple[int | str, ...]
"""A part of a step that draws: a block's number, with that of the micro-batch, or the name of an earlier phase."""


@runtime_checkable
class Draws(Protocol):
    """The random numbers of a step, which depend on seed, step and part of the step alone."""

    def open(self, device: torch.device, step: int, *part: int | str) -> AbstractContextManager[None]:
        """Let torch's own generators give the numbers of a part of a step inside the `with`."""
        ...

    def generator(self, device: torch.device, step: int, *part: int | str) -> torch.Generator:
        """Return a generator that is seeded for a part of a step; valid until the next call."""
        ...


class SeededDraws(Draws):
    """Draws each part of each step from a seed of its own."""

    def __init__(self, seed: int):
        self.seed = seed
        self._given: dict[torch.device, torch.Generator] = {}

    def open(self, device: torch.device, step: int, *part: int | str) -> AbstractContextManager[None]:
        return seeded(derive_seed(self.seed, step, *part), device)

    def generator(self, device: torch.device, step: int, *part: int | str) -> torch.Generator:
        if device not in self._given:
            self._given[device] = torch.Generator(device)
        return self._given[device].manual_seed(derive_seed(self.seed, step, *part))


class ObservedDraws(Draws):
    """Seeded draws that record which parts of a step draw, and how often each was opened."""

    def __init__(self, draws: SeededDraws):
        self.draws = draws
        self.opened: Counter[Part] = Counter()
        self.drawn: set[Part] = set()

    @contextmanager
    def open(self, device: torch.device, step: int, *part: int | str) -> Iterator[None]:
        self.opened[part] += 1
        with self.draws.open(device, step, *part):
            before = default_generator(device).get_state()
            yield
            if not torch.equal(before, default_generator(device).get_state()):
                self.drawn.add(part)

    def generator(self, device: torch.device, step: int, *part: int | str) -> torch.Generator:
        self.opened[part] += 1
        self.drawn.add(part)
        return self.draws.generator(device, step, *part)


class GraphDraws(Draws):
    """Seeded draws for a step that a graph repeats: no seed can be set inside, so each part has its own generator.

    Parts that drew nothing in the observed step have none. A part that was computed twice has two, which draw the same
    numbers.
    """

    def __init__(self, observed: ObservedDraws, device: torch.device):
        self.seed, self.drawn = observed.draws.seed, observed.drawn
        each = [(part, k) for part in sorted(observed.drawn, key=str) for k in range(observed.opened[part])]
        self._made = {key: torch.Generator(device) for key in each}
        self._opened: Counter[Part] = Counter()

    @property
    def generators(self) -> list[torch.Generator]:
        return list(self._made.values())

    def begin(self, step: int) -> None:
        """Seed every generator for a step."""
        self._opened.clear()
        for (part, _), generator in self._made.items():
            generator.manual_seed(derive_seed(self.seed, step, *part))

    def open(self, device: torch.device, step: int, *part: int | str) -> AbstractContextManager[None]:
        return drawing_from(self._next(part), device) if part in self.drawn else nullcontext()

    def generator(self, device: torch.device, step: int, *part: int | str) -> torch.Generator:
        return self._next(part)

    def _next(self, part: Part) -> torch.Generator:
        self._opened[part] += 1
        return self._made[part, self._opened[part] - 1]


def default_generator(device: torch.device) -> torch.Generator:
    """Return the generator from which torch draws on a device by default."""
    return torch.cuda.default_generators[device.index or 0] if device.type == "cuda" else torch.default_generator


@contextmanager
def drawing_from(generator: torch.Generator, device: torch.device) -> Iterator[None]:
    """Replace torch's default generator by this one inside the `with`."""
    default = default_generator(device)
    if device.type == "cuda":  # allowed in a capture, for generators that are registered with the graph
        own = default.graphsafe_get_state()
        default.graphsafe_set_state(generator)
        try:
            yield
        finally:
            default.graphsafe_set_state(own)
        return
    with DRAWING:
        state = default.get_state()
        default.set_state(generator.get_state())
        try:
            yield
        finally:
            generator.set_state(default.get_state())
            default.set_state(state)
