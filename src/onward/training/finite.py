"""Finite numbers: weights and state are checked before they replace those of a checkpoint."""

from collections.abc import Mapping

import torch
from torch import Tensor


def check_finite(tensors: Mapping[str, Tensor], when: str = "") -> None:
    """Raise ValueError naming a tensor that holds NaN or infinity; thresholds may be infinite."""
    watched = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point() and tensor.numel()}
    if not watched:
        return
    good = torch.stack([_good(name, tensor) for name, tensor in watched.items()])  # waits for the device once
    for name, fine in zip(watched, good.tolist(), strict=True):
        if not fine:
            raise ValueError(
                f"{name} is not finite{when}; lower the learning rate (--trainer.learning-rate) "
                "or clip gradients (--trainer.clip-norm 1)"
            )


def _good(name: str, tensor: Tensor) -> Tensor:
    ends = torch.stack(torch.aminmax(tensor.detach()))  # keeps NaN, and allocates nothing of the tensor's size
    return ~ends.isnan().any() if name.endswith("thresholds") else ends.isfinite().all()
