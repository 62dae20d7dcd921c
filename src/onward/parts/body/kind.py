"""What kind of activity a body gives."""

from torch import nn


def gives_maps(body: nn.Module) -> bool:
    """Return whether a body ends in maps: it has a convolution, and no linear layer."""
    kinds = [type(module) for module in body.modules()]
    return nn.Conv2d in kinds and nn.Linear not in kinds
