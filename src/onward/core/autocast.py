"""Autograd functions under autocast, in which they do not take part by themselves."""

from typing import Any

import torch
from torch import Tensor


def apply_in_autocast(
    function: type[torch.autograd.Function], x: Tensor, others: list[Tensor | None], *settings: Any
) -> Tensor:
    """Apply an autograd function as autocast calls an operation: its tensors are cast to the type that is on."""
    device, tensors = x.device.type, [x, *others]
    if torch.is_autocast_enabled(device):
        tensors = [t if t is None else t.to(torch.get_autocast_dtype(device)) for t in tensors]
    with torch.autocast(device, enabled=False):
        return function.apply(*tensors, *settings)
