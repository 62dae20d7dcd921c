"""Draws: where the random numbers of a training come from, by step and by the part of the step that draws them."""

from contextlib import AbstractContextManager

import torch

from onward.core.seeds import derive_seed, seeded


class SeededDraws:
    """Draws each part of each step from a seed of its own: a block's number, or the name of what comes before them."""

    def __init__(self, seed: int):
        self.seed = seed
        self._given: dict[torch.device, torch.Generator] = {}

    def open(self, device: torch.device, step: int, *part: int | str) -> AbstractContextManager[None]:
        """Draw inside the `with` what a part of a step draws from torch's own generators."""
        return seeded(derive_seed(self.seed, step, *part), device)

    def generator(self, device: torch.device, step: int, *part: int | str) -> torch.Generator:
        """Return a generator at the beginning of what a part of a step draws; valid until the next call."""
        if device not in self._given:
            self._given[device] = torch.Generator(device)
        return self._given[device].manual_seed(derive_seed(self.seed, step, *part))
