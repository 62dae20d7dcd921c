"""Gradients are ours: training computes them, whatever the caller has switched off around it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def gradients_on() -> Iterator[None]:
    """Compute gradients inside the `with`, or the function it decorates, also under `no_grad` or `inference_mode`."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


def ordinary(tensor: Tensor) -> Tensor:
    """Return a tensor that a graph may hold: a copy of one that was made under `inference_mode`, else itself."""
    return tensor.clone() if tensor.is_inference() else tensor


@gradients_on()
def make_trainable(module: nn.Module) -> None:
    """Exchange weights and buffers that were made under `inference_mode` for ordinary ones of the same values."""
    made: dict[int, Tensor] = {}
    for part in module.modules():
        for content in (part._parameters, part._buffers):
            for name, tensor in content.items():
                if tensor is None or not tensor.is_inference():
                    continue
                if id(tensor) not in made:
                    value = tensor.detach().clone()
                    own = isinstance(tensor, nn.Parameter)
                    made[id(tensor)] = nn.Parameter(value, tensor.requires_grad) if own else value
                content[name] = made[id(tensor)]  # pyright: ignore[reportArgumentType]
