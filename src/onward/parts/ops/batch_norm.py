"""Whether a network has batch normalization."""

from collections.abc import Iterable

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def has_batch_norm(bodies: Iterable[nn.Module]) -> bool:
    """Return whether any body has batch normalization, of vectors, windows, maps or volumes."""
    return any(isinstance(module, _BatchNorm) for body in bodies for module in body.modules())
