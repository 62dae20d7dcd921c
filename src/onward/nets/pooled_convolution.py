"""A convolution and the max pool behind it, computed for a part of the batch at a time."""
# B batch, C channels in, D channels out, H W map, K kernel

import math
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from onward.core import rows_at_once
from onward.core.autocast import apply_in_autocast
from onward.nets.pool import SMALL, MaxPool, empty_pooled, pool_into, spans_a_byte, spread_into

_NUMBERS = 2**22  # of the map in front of the pool: products of fewer rows are slower on a processor


class PooledConvolution(nn.Sequential):
    """Layers of which the first two are a convolution and a `MaxPool`: the map between them never exists as a whole.

    Both compute a part of the batch at a time, with the values of one after the other, bit for bit. What is saved for
    the gradient is the input and a byte for each window. Gradients of the weights are added up over the parts in fp32:
    where a batch has several parts, they differ from those of the two layers by rounding.
    """

    def forward(self, input: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H2 W2"]:
        conv, pool, *further = self
        assert isinstance(pool, MaxPool)
        if type(conv) is nn.Conv2d and _is_plain(conv, pool) and _is_large(pool, input):
            x = _pooled(conv, pool, input)
        else:
            x = pool(conv(input))
        for layer in further:
            x = layer(x)
        return x


class _Geometry(NamedTuple):
    convolution: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], int]
    """Stride, padding, dilation and groups."""
    pool: tuple[list[int], bool]
    """Window, and whether windows at an edge may have fewer pixels."""

    def rows(self, pooled: Tensor) -> int:
        """Return how many images to compute at once."""
        return rows_at_once(pooled, _NUMBERS // math.prod(self.pool[0]))

    def map_like(self, x: Tensor, weight: Tensor) -> Tensor:
        """Return a tensor without memory, shaped as the map in front of the pool [B, D, H, W]."""
        along = zip(x.shape[2:], weight.shape[2:], *self.convolution[:3], strict=True)
        sides = [(side + 2 * pad - reach * (size - 1) - 1) // step + 1 for side, size, step, pad, reach in along]
        like = x.new_empty((len(x), len(weight), *sides), device="meta")
        channels_last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
        return like.contiguous(memory_format=torch.channels_last) if channels_last else like


def _is_plain(conv: nn.Conv2d, pool: MaxPool) -> bool:
    """Whether nothing beside a convolution and a pool happens when the two layers are called."""
    watched = any(layer._forward_hooks or layer._forward_pre_hooks for layer in (conv, pool))
    return not watched and conv.padding_mode == "zeros" and not isinstance(conv.padding, str)


def _is_large(pool: MaxPool, x: Tensor) -> bool:
    plain = torch.compiler.is_exporting() or x.is_meta or x.ndim != 4 or x.numel() <= SMALL
    return not plain and spans_a_byte(pool, x.shape[3])


def _pooled(conv: nn.Conv2d, pool: MaxPool, x: Tensor) -> Tensor:
    assert not isinstance(conv.padding, str)
    geometry = _Geometry((conv.stride, conv.padding, conv.dilation, conv.groups), (pool.window, pool.ceil_mode))
    return apply_in_autocast(_ConvolutionAndPool, x, [conv.weight, conv.bias], geometry)


class _ConvolutionAndPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: _Geometry) -> Tensor:
        like, pool = geometry.map_like(x, weight), geometry.pool
        pooled = empty_pooled(like, *pool, x.device)
        low = torch.empty_like(pooled, dtype=torch.uint8)
        rows = geometry.rows(pooled)
        for part, maxima, bytes in zip(x.split(rows), pooled.split(rows), low.split(rows), strict=True):
            pool_into(maxima, bytes, torch.conv2d(part, weight, bias, *geometry.convolution), *pool)
        ctx.save_for_backward(x, weight, low)
        ctx.geometry, ctx.like, ctx.bias = geometry, like, None if bias is None else [len(bias)]
        return pooled

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, weight, low = ctx.saved_tensors
        rows, at = ctx.geometry.rows(low), 0
        if len(x) <= rows:
            return *_gradients(ctx, gradient, low, x, weight), None
        to_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        sums: list[Tensor | None] = [None, None]
        for part, bytes, above in zip(x.split(rows), low.split(rows), gradient.split(rows), strict=True):
            into, *own = _gradients(ctx, above, bytes, part, weight)
            if to_x is not None and into is not None:
                to_x[at : at + rows] = into
            sums, at = [_added(before, new) for before, new in zip(sums, own, strict=True)], at + rows
        return to_x, *sums, None


def _gradients(ctx: Any, gradient: Tensor, low: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor | None, ...]:
    """Return the gradients of a part's input, of the weight and of the bias, each where it is wanted."""
    (stride, padding, dilation, groups), wanted = ctx.geometry.convolution, list(ctx.needs_input_grad[:3])
    spread = torch.empty_like(ctx.like[: len(x)], device=x.device)
    spread_into(spread, gradient, low, *ctx.geometry.pool)
    return torch.ops.aten.convolution_backward(
        spread, x, weight, ctx.bias, stride, padding, dilation, False, [0, 0], groups, wanted
    )


def _added(before: Tensor | None, new: Tensor | None) -> Tensor | None:
    """Add up the parts' gradients in fp32 or wider; that of a single part is kept as it is."""
    if before is None or new is None:
        return new
    return before.to(torch.promote_types(new.dtype, torch.float32)).add_(new)
