"""Whole batches: parts that need all images of a batch get the shares of all replicas."""
# B images of a share with all their views, R replicas, W images of all shares with all their views

from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from onward.core import LocalBlock, Target
from onward.pipeline.replicas import Peers

T = TypeVar("T")
_BatchNorm = nn.modules.batchnorm._BatchNorm


def see_whole_batch(blocks: Iterable[LocalBlock], peers: Peers) -> None:
    """Make blocks that train on a share of every batch learn as if they had all of it.

    Batch norm in bodies and handoffs adds its statistics up over the replicas, in both directions of the gradient. An
    auxiliary that compares images, and a goodness that counts batches, get the activities of all shares. One piece of
    every replica counts as a batch, so that without micro-batches it is the whole one.
    """
    for block in blocks:
        for module in (*block.body.modules(), *block.handoff.modules()):
            if isinstance(module, _BatchNorm):
                module.forward = partial(_shared_norm, module, module.forward, peers)  # pyright: ignore
        if block.auxiliary is not None and block.auxiliary.couples_samples:
            block.auxiliary.forward = partial(_of_all, block.auxiliary.forward, peers)
        if block.goodness is not None and block.goodness.keeps_statistics:
            block.goodness.update_statistics = partial(_of_all, block.goodness.update_statistics, peers)


def _of_all(own: Callable[[Tensor, Target], T], peers: Peers, activity: Tensor, target: Target) -> T:
    """Call it with the rows of all replicas: its result is the same on each, and the gradient is of its own share."""
    views = target.views
    gathered = _gathered(activity, views, peers)
    beside = tuple(_gathered(tensor, views, peers) for tensor in target.beside)
    label = _gathered(target.label, views, peers)
    sign = None if target.sign is None else _gathered(target.sign, views, peers)
    return own(gathered, target._replace(label=label, sign=sign, beside=beside))


def _gathered(tensor: Tensor, views: int, peers: Peers) -> Tensor:
    """Return the rows of all replicas, the first view of all images first."""
    shares: Tensor = _Gather.apply(tensor, peers)  # pyright: ignore[reportAssignmentType]
    return shares.unflatten(1, (views, -1)).transpose(0, 1).flatten(0, 2)


def _shared_norm(norm: _BatchNorm, own: Callable[[Tensor], Tensor], peers: Peers, x: Tensor) -> Tensor:
    """Normalize by mean and variance over all shares; torch's own layer for this needs a GPU."""
    if not norm.training:
        return own(x)
    dims, shape = [d for d in range(x.ndim) if d != 1], [1, -1, *[1] * (x.ndim - 2)]
    wide = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    count = wide.numel() // wide.shape[1] * peers.number
    mean = _add(wide.sum(dims), peers) / count
    centered = wide - mean.view(shape)
    variance = _add(centered.square().sum(dims), peers) / count
    if norm.running_mean is not None and norm.running_var is not None and norm.num_batches_tracked is not None:
        with torch.no_grad():
            norm.num_batches_tracked += 1
            momentum = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
            norm.running_mean.lerp_(mean.detach().to(norm.running_mean), momentum)
            norm.running_var.lerp_((variance.detach() * count / (count - 1)).to(norm.running_var), momentum)
    normalized = centered * (variance + norm.eps).rsqrt().view(shape)
    if norm.affine:
        normalized = normalized * norm.weight.view(shape) + norm.bias.view(shape)
    return normalized.to(x.dtype)


def _add(tensor: Tensor, peers: Peers) -> Tensor:
    return _Sum.apply(tensor, peers)  # pyright: ignore[reportReturnType]


class _Sum(torch.autograd.Function):
    """The sum over all replicas; its gradient is the sum of the gradients of all replicas."""

    @staticmethod
    def forward(ctx, tensor: Tensor, peers: Peers) -> Tensor:
        ctx.peers = peers
        total = tensor.clone()
        peers.combine(total)
        return total

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        total = gradient.clone()
        ctx.peers.combine(total)
        return total, None


class _Gather(torch.autograd.Function):
    """The tensors of all replicas, [R, B, ...]; the gradient of its own comes from the losses of all."""

    @staticmethod
    def forward(ctx, tensor: Tensor, peers: Peers) -> Tensor:
        ctx.peers = peers
        return peers.gather(tensor)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        total = gradient.to(torch.promote_types(gradient.dtype, torch.float32))  # half precision is not added up
        total = total.clone(memory_format=torch.contiguous_format)
        ctx.peers.combine(total)
        return total[ctx.peers.rank].to(gradient.dtype), None
