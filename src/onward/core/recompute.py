"""Recomputing: inside a span only block inputs stay in memory; the rest is computed again in the backward pass."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from onward.core.slots import Stream

Compute = Callable[..., tuple[Tensor | None, Stream]]
"""Takes the tensors of a stream; returns a loss, if there is one, and the stream handed on: the same bits each time."""


def recomputed(block: nn.Module, compute: Compute, stream: Stream) -> tuple[Tensor | None, Stream]:
    """Return `compute(*stream)` with a graph that holds `stream` alone.

    Unlike torch's checkpoint, the second computation passes through hooks on saved tensors, so that its bytes are
    counted, and running statistics count a batch once.
    """
    always = torch.empty(0, device=stream[0].device, requires_grad=True)  # the first stream of a span needs no gradient
    loss, *handed_on = _Recomputed.apply(block, compute, always, *stream)  # pyright: ignore[reportGeneralTypeIssues]
    return loss, tuple(handed_on)


class _Recomputed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, block: nn.Module, compute: Compute, always: Tensor, *stream: Tensor):
        ctx.block, ctx.compute = block, compute
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*stream)
        # With a graph, which is dropped at once: without one a handoff may take another path. Statistics are updated in
        # the backward pass instead, which must start from the same ones: running anchors read what they update.
        with torch.enable_grad(), statistics_kept(block):
            loss, handed_on = compute(*_leaves(stream, ctx.needs_input_grad[3:]))
        return (None if loss is None else loss.detach(), *[tensor.detach() for tensor in handed_on])

    @staticmethod
    def backward(ctx, *gradients: Tensor | None):
        leaves = _leaves(ctx.saved_tensors, ctx.needs_input_grad[3:])
        with torch.enable_grad():
            loss, handed_on = ctx.compute(*leaves)
        pairs = zip((loss, *handed_on), gradients, strict=True)
        differentiable = [(out, g) for out, g in pairs if out is not None and out.requires_grad and g is not None]
        torch.autograd.backward([out for out, _ in differentiable], [g for _, g in differentiable])
        return (None, None, None, *[leaf.grad for leaf in leaves])


def _leaves(stream: Sequence[Tensor], wanted: Sequence[bool]) -> Stream:
    """Return the same tensors as leaves of a new graph."""
    return tuple(tensor.detach().requires_grad_(asked) for tensor, asked in zip(stream, wanted, strict=True))


@contextmanager
def statistics_kept(block: nn.Module) -> Iterator[None]:
    """Compute as in training, but leave running statistics unchanged: another pass counts this batch.

    Modules in training mode update copies of their buffers, which are dropped on leaving the `with`.
    """
    own = [
        (module, name, buffer)
        for module in block.modules()
        if module.training
        for name, buffer in module.named_buffers(recurse=False)
    ]
    for module, name, buffer in own:
        setattr(module, name, buffer.clone())
    try:
        yield
    finally:
        for module, name, buffer in own:
            setattr(module, name, buffer)
