"""A chip: the random draws by which one device differs from the next, reproducible from its seed."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from onward.core import current_seed, derive_seed
from onward.hardware.noise import Noise


class Moment(NamedTuple):
    """When a noise acts: the training step (its seed; None outside of training), a count, and whether weights move."""

    step: int | None
    count: int = 0
    writing: bool = False


class Labeled(NamedTuple):
    """A noise and the name that its draws are derived from: its class, and which of that class it is."""

    label: str
    noise: Noise


def label(noises: Sequence[Noise]) -> list[Labeled]:
    """Return labels of noises, such that adding a noise of another kind changes no draw of the others."""
    seen: Counter[str] = Counter()
    labeled = []
    for noise in noises:
        name = noise.drawn_as or type(noise).__name__
        labeled.append(Labeled(f"{name}.{seen[name]}", noise))
        seen[name] += 1
    return labeled


class Chip:
    """Random draws of every noise at every site: from the chip's seed, and from the moment for draws of one pass.

    Lasting draws are made on the CPU, so that a chip is the same on every device, and cached. torch's global
    generators are not used.
    """

    def __init__(self, seed: int, programming: int):
        self.seed = seed
        self.programming = programming
        self.uses: Counter[str] = Counter()
        self._kept: dict[tuple[str, str, torch.device, torch.Size], Tensor] = {}

    def disturb(self, noises: Sequence[Labeled], x: Tensor, name: str, moment: Moment) -> Tensor:
        """Apply noises in order to the values called `name`."""
        for label, noise in noises:
            self.uses[label] += 1
            x = noise.apply(x, self._draw(label, noise, x, name, moment))
        return x

    def _draw(self, label: str, noise: Noise, x: Tensor, name: str, moment: Moment) -> Tensor:
        if noise.lifetime == "use":
            when = ("use", moment.count) if moment.step is None else ("step", moment.step, moment.count)
            return noise.draw(x, self._generator(x.device, label, name, *when))
        if noise.lifetime == "programming" and moment.writing:
            when = ("programming", self.programming, str(moment.step), moment.count)
            return noise.draw(x, self._generator(x.device, label, name, *when))
        key = (label, name, x.device, x.shape[1:])  # what lasts does not depend on how many images there are
        if key not in self._kept:
            event = () if noise.lifetime == "chip" else ("programming", self.programming)
            drawn = noise.draw(x, self._generator(torch.device("cpu"), label, name, *event))
            self._kept[key] = drawn.to(x.device)
        return self._kept[key]

    def _generator(self, device: torch.device, *parts: int | str) -> torch.Generator:
        return torch.Generator(device).manual_seed(derive_seed(self.seed, *parts))


class Clock:
    """Returns the moments of one site: in a training the step, otherwise the number of uses."""

    def __init__(self):
        self.uses = 0
        self.step: int | None = None
        """The training step of the last pass."""

    def now(self, *, training: bool) -> Moment:
        """Return the moment of a pass. A step seen twice is one moment: there, a block computed again is the same."""
        self.step = current_seed()
        if self.step is not None:
            return Moment(self.step, writing=training)
        self.uses += 1
        return Moment(None, self.uses - 1)
