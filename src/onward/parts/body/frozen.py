"""Frozen bodies: bodies that keep their initial weights."""

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

_MOMENTUM = 0.1  # torch's default, which all networks of onward use


def frozen(body: nn.Module) -> nn.Module:
    """Freeze all weights of a body, in place.

    Running statistics are still updated, as the mean over all batches: with constant weights, features are then the
    same in evaluation as in training, even after a short one.
    """
    return _set(body.requires_grad_(False), None)


def follow_data(body: nn.Module) -> None:
    """Update the running statistics of frozen bodies, whose other modules are in evaluation mode."""
    for module in body.modules():
        if isinstance(module, _NormBase) and module.momentum is None:
            module.train()


def norms_with_statistics(body: nn.Module) -> list[_NormBase]:
    """Return the modules of a body that keep running statistics."""
    return [m for m in body.modules() if isinstance(m, _NormBase) and m.track_running_stats]


def begin_statistics(body: nn.Module) -> bool:
    """Reset the running statistics of a frozen body, so that the next batches set them; return whether it has any."""
    norms = norms_with_statistics(body)
    for module in norms:
        module.reset_running_stats()
        module.train()
    return bool(norms)


def thawed(body: nn.Module) -> nn.Module:
    """Make all weights of a body trainable again, in place: for controls."""
    return _set(body.requires_grad_(True), _MOMENTUM)


def _set(body: nn.Module, momentum: float | None) -> nn.Module:
    for module in body.modules():
        if isinstance(module, _NormBase):
            module.momentum = momentum
    return body
