"""Group norm of channels-last maps on the CPU, which PyTorch alone cannot train behind a detached input.

PyTorch's backward pass ends the process if the norm's weights need a gradient and its input does not (seen in 2.13): in
end-to-end training this is so in the first layer of the network, in layer-local training in that of every block.
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
    """Compute channels-last maps of these norms in contiguous layout on the CPU; outputs are channels last again."""
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
