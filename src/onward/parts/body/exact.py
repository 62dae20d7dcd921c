"""Exact bodies: modules with an altered gradient are replaced by ones with the true gradient, for controls."""

from typing import Protocol, runtime_checkable

from torch import nn


@runtime_checkable
class Inexact(Protocol):
    """A module whose gradient is not that of its computation, with a method that returns an exact counterpart."""

    def exact(self) -> nn.Module:
        """Return a module with the same weights and the true gradient."""
        ...


def exact(body: nn.Module) -> nn.Module:
    """Replace every module in a body that has an `exact()` by the result of that method, in place."""
    if isinstance(body, Inexact):
        body = body.exact()
    for name, child in body.named_children():
        setattr(body, name, exact(child))
    return body
