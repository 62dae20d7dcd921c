"""Group norm of maps with channels last on the CPU, which PyTorch cannot train by itself behind a cut.

Its backward pass ends the process where the norm's weights need a gradient and its input none (seen in PyTorch 2.13):
in a whole network the first layer alone is such a place, in layer-local training the first one of every block.
"""
# B batch, C channels

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn


def group_norms(module: nn.Module) -> tuple[nn.GroupNorm, ...]:
    """Return the group norms of a module that have weights."""
    return tuple(inner for inner in module.modules() if isinstance(inner, nn.GroupNorm) and inner.affine)


@contextmanager
def trainable_norms(norms: Sequence[nn.GroupNorm]) -> Iterator[None]:
    """Let these norms compute maps with channels last on the CPU in the usual layout; what they give has theirs."""
    held = [vars(norm).get("forward") for norm in norms]
    for norm in norms:
        norm.forward = partial(_in_rows, norm.forward)
    try:
        yield
    finally:
        for norm, own in zip(norms, held, strict=True):
            if own is None:
                del norm.forward
            else:
                norm.forward = own


def _in_rows(forward: Callable[[Tensor], Tensor], input: Float[Tensor, "B C ..."]) -> Float[Tensor, "B C ..."]:
    layouts = {4: torch.channels_last, 5: torch.channels_last_3d}
    if not torch.is_grad_enabled() or input.device.type != "cpu" or input.ndim not in layouts:
        return forward(input)
    if input.is_contiguous() or input.stride(1) != 1:
        return forward(input)
    return forward(input.contiguous()).contiguous(memory_format=layouts[input.ndim])
