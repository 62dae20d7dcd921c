"""Bodies that stay as they were drawn."""

from torch import nn


def frozen(body: nn.Module) -> nn.Module:
    """Take all weights of a body out of training, in place; running statistics still follow the data."""
    return body.requires_grad_(False)


def thawed(body: nn.Module) -> nn.Module:
    """Let all weights of a body be trained again, in place: for controls."""
    return body.requires_grad_(True)
