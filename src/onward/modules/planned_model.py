"""Whether a model is still the one that was planned: which modules and weights it has, and of which type."""

from collections.abc import Iterator
from itertools import chain
from operator import attrgetter, is_
from typing import Any

import torch
from torch import nn

from onward.nets.recorded_pass import hookable

_TRAINED, _TYPE = attrgetter("requires_grad"), attrgetter("dtype")


class PlannedModel:
    """The modules and weights of a model when its blocks were made, which the optimizers hold on to."""

    def __init__(self, model: nn.Module):
        self.model = model
        self.weights = [*model.parameters()]
        self.trained, self.types = [*map(_TRAINED, self.weights)], [*map(_TYPE, self.weights)]
        self.device = self.weights[0].device
        self._note()

    def check(self) -> None:
        """Raise ValueError for weights that no block would train: added, exchanged, thawed, frozen or converted ones.

        Called in every step: unless something was exchanged, it compares identities and walks through no module.
        """
        if sum(map(len, self.tables)) != len(self.entries) or not all(map(is_, self._entries(), self.entries)):
            self._check_new()
            self._note()
        if [*map(_TRAINED, self.weights)] != self.trained or [*map(_TYPE, self.weights)] != self.types:
            self._refuse_changed()
        if self.weights[0].device != self.device:
            raise ValueError(
                f"the model was on {self.device} when onward.local was called, and is on {self.weights[0].device} "
                "now: move it first, then call onward.local again"
            )

    def _note(self) -> None:
        modules = [module for _, module in hookable(self.model)]
        self.tables = [table for module in modules for table in (module._modules, module._parameters) if table]
        self.entries = [*self._entries()]

    def _entries(self) -> Iterator[Any]:
        return chain.from_iterable(map(dict.values, self.tables))

    def _check_new(self) -> None:
        known = {id(parameter) for parameter in self.weights}
        for name, parameter in self.model.named_parameters():
            if id(parameter) not in known and parameter.requires_grad:
                raise ValueError(
                    f"{name} was added or exchanged after onward.local was called, so no block trains it: call "
                    "onward.local again"
                )

    def _refuse_changed(self) -> None:
        for parameter, trained, before in zip(self.weights, self.trained, self.types, strict=True):
            if parameter.requires_grad != trained:
                when, block = ("after", "where a block") if trained else ("when", "so no block")
                change = f"was frozen {when} onward.local was called, {block} trains it"
            elif parameter.dtype != before:
                change = f"was {before} when onward.local was called, and is {parameter.dtype}"
            else:
                continue
            raise ValueError(f"{self._name(parameter)} {change}: call onward.local again")

    def _name(self, parameter: torch.Tensor) -> str:
        return next((name for name, own in self.model.named_parameters() if own is parameter), "a weight")
