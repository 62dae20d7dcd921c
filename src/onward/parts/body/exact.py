"""Exact bodies: what is not differentiated as it computes gives way to what is, for controls."""

from typing import Protocol, runtime_checkable

from torch import nn


@runtime_checkable
class Inexact(Protocol):
    """A module whose gradient is not that of what it computes, and which knows the module that stands for it."""

    def exact(self) -> nn.Module:
        """Return a module of the same weights whose gradient is its own."""
        ...


def exact(body: nn.Module) -> nn.Module:
    """Exchange every module in a body that has an `exact()` for what that returns, in place."""
    if isinstance(body, Inexact):
        body = body.exact()
    for name, child in body.named_children():
        setattr(body, name, exact(child))
    return body
