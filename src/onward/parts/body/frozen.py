"""Bodies that stay as they were drawn."""

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

_MOMENTUM = 0.1  # torch's default, which all networks here have


def frozen(body: nn.Module) -> nn.Module:
    """Take all weights of a body out of training, in place.

    Running statistics still follow the data, but as the mean over all batches: weights that do not change need no
    forgetting, and what a read-out learns in a short training is then what it meets in evaluation.
    """
    return _set(body.requires_grad_(False), None)


def follow_data(body: nn.Module) -> None:
    """Let the running statistics of frozen bodies follow the data, though all else in them is in evaluation mode."""
    for module in body.modules():
        if isinstance(module, _NormBase) and module.momentum is None:
            module.train()


def thawed(body: nn.Module) -> nn.Module:
    """Let all weights of a body be trained again, in place: for controls."""
    return _set(body.requires_grad_(True), _MOMENTUM)


def _set(body: nn.Module, momentum: float | None) -> nn.Module:
    for module in body.modules():
        if isinstance(module, _NormBase):
            module.momentum = momentum
    return body
