"""A snapshot: copies of all that a training step changes, so that the step can be undone."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from onward.core.learner import Learner
from onward.core.optimizer import BlockOptimizer


class Snapshot:
    """Copies of a learner's weights and statistics, and of its optimizers' state, at one moment.

    It doubles their memory. State that a module keeps outside of parameters and buffers is not copied.
    """

    def __init__(self, learner: Learner, optimizers: Iterable[BlockOptimizer]):
        held: list[tuple[dict[str, Any], str, Tensor]] = [
            (content, name, tensor)
            for module in learner.modules()
            for content in (module._parameters, module._buffers)
            for name, tensor in content.items()
            if tensor is not None
        ]
        self.tensors = [(content, name, tensor, tensor.detach().clone()) for content, name, tensor in held]
        self.optimizers = [part.optimizer for optimizer in optimizers for part in optimizer.parts]
        self.states = [_copied(optimizer.state) for optimizer in self.optimizers]

    @torch.no_grad()
    def restore(self) -> None:
        """Restore everything, bit for bit, and drop gradients."""
        for content, name, tensor, value in self.tensors:
            tensor.copy_(value)
            tensor.grad = None
            content[name] = tensor
        for optimizer, state in zip(self.optimizers, self.states, strict=True):
            optimizer.state.clear()
            optimizer.state.update(_copied(state))

    @torch.no_grad()
    def still_finite(self) -> bool:
        """Whether all weights, statistics and optimizer state that were finite in the snapshot are finite now."""
        pairs = [(content[name], value) for content, name, _, value in self.tensors]
        for optimizer, state in zip(self.optimizers, self.states, strict=True):
            for parameter, entries in optimizer.state.items():
                before = state.get(parameter, {})
                pairs += [(v, before.get(key, torch.zeros_like(v))) for key, v in entries.items() if _real(v)]
        bad = [(~now.isfinite() & old.isfinite()).any() for now, old in pairs if _real(now)]
        return not bad or not bool(torch.stack([each.cpu() for each in bad]).any())


def _copied(state: dict[Any, Any]) -> dict[Any, Any]:
    return {
        parameter: {key: v.clone() if isinstance(v, Tensor) else v for key, v in entries.items()}
        for parameter, entries in state.items()
    }


def _real(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()
