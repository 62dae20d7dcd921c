"""Operators of a backward pass, written with operators of inference: a convolution's gradients are convolutions."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch._decomp import core_aten_decompositions, get_decompositions

from onward.export.draws import WITHOUT_STEP

aten = torch.ops.aten

_LIBRARY = [
    aten.native_group_norm,
    aten.native_group_norm_backward,
    aten.native_layer_norm,
    aten.native_layer_norm_backward,
    aten.native_batch_norm,
    aten.native_batch_norm_backward,
    aten._native_batch_norm_legit,
    aten._native_batch_norm_legit_no_training,
    aten._native_batch_norm_legit_functional,
    aten.nll_loss_forward,
    aten.nll_loss_backward,
    aten._softmax,
    aten._log_softmax,
    aten._softmax_backward_data,
    aten._log_softmax_backward_data,
    aten.threshold_backward,
    aten.masked_fill,
    aten.linalg_vector_norm,
    aten.addcmul,
    aten.addcdiv,
    aten.lerp,
    aten.unbind,
    aten.stack,
    aten.select_backward,
    aten.slice_backward,
    aten.leaky_relu,
    aten.leaky_relu_backward,
    aten.elu,
    aten.gelu,
    aten.silu,
    aten.hardtanh,
    aten.softplus,
    aten.softplus_backward,
    aten.log_sigmoid_forward,
    aten.log_sigmoid_backward,
    aten.sigmoid_backward,
    aten.tanh_backward,
    aten.mse_loss,
    aten.mse_loss_backward,
    aten.embedding,
    aten.split,
    aten.chunk,
    aten.rsub,
    aten.trace,
    aten.dot,
    aten.adaptive_avg_pool2d,
    aten._adaptive_avg_pool2d_backward,
]
"""Operators that torch itself decomposes."""


def decompositions() -> dict[Any, Any]:
    """Return decompositions of the operators that core ATen, ONNX or plain loops lack."""
    return {
        **core_aten_decompositions(),
        **get_decompositions(_LIBRARY),
        aten.convolution_backward.default: _convolution_backward,
        aten.avg_pool2d_backward.default: _average_backward,
        aten.max_pool2d_with_indices_backward.default: _largest_backward,
        aten.empty_permuted.default: _empty_permuted,
        aten.var_mean.correction: _variance_and_mean,
        aten.var.correction: _variance,
        aten.std.correction: _deviation,
    }


def _empty_permuted(size: Sequence[int], order: Sequence[int], **settings: Any) -> Tensor:
    return torch.zeros(size, dtype=settings.get("dtype"), device=settings.get("device"))


def _variance_and_mean(
    x: Tensor, dim: Sequence[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> tuple[Tensor, Tensor]:
    axes = list(range(x.ndim)) if not dim else list(dim)
    mean = x.mean(axes, keepdim=True)
    count = math.prod(x.shape[k] for k in axes)
    variance = (x - mean).square().sum(axes, keepdim=keepdim) / max(
        count - (1 if correction is None else correction), 0
    )
    return variance, mean if keepdim else mean.reshape(variance.shape)


def _variance(x: Tensor, dim: Sequence[int] | None = None, **settings: Any) -> Tensor:
    return _variance_and_mean(x, dim, **settings)[0]


def _deviation(x: Tensor, dim: Sequence[int] | None = None, **settings: Any) -> Tensor:
    return _variance_and_mean(x, dim, **settings)[0].sqrt()


def _convolution_backward(
    gradient: Tensor,
    x: Tensor,
    weight: Tensor,
    bias_sizes: Sequence[int] | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
    wanted: Sequence[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Return the gradients of input, weight and bias; None for those that are not `wanted`."""
    if transposed:
        raise ValueError(f"a transposed convolution cannot learn outside of onward: {WITHOUT_STEP}")
    of_input = of_weight = None
    if wanted[0]:
        ends = [
            n - ((m - 1) * s - 2 * p + d * (k - 1) + 1)
            for n, m, s, p, d, k in zip(
                x.shape[2:], gradient.shape[2:], stride, padding, dilation, weight.shape[2:], strict=True
            )
        ]
        of_input = aten.convolution.default(gradient, weight, None, stride, padding, dilation, True, ends, groups)
    if wanted[1]:
        pairs = zip(x.chunk(groups, 1), gradient.chunk(groups, 1), strict=True)
        parts = [_of_weight(a, g, weight, stride, padding, dilation) for a, g in pairs]
        of_weight = parts[0] if groups == 1 else torch.cat(parts)
    return of_input, of_weight, gradient.sum((0, 2, 3)) if wanted[2] else None


def _of_weight(
    x: Tensor, gradient: Tensor, weight: Tensor, stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int]
) -> Tensor:
    """Return a kernel's gradient: a convolution with batch and channels swapped, and stride and dilation."""
    x, gradient = x.transpose(0, 1), gradient.transpose(0, 1)
    product = aten.convolution.default(x, gradient, None, dilation, padding, stride, False, [0, 0], 1)
    return product[:, :, : weight.shape[2], : weight.shape[3]].transpose(0, 1)


def _average_backward(
    gradient: Tensor,
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    counted: bool,
    divisor: int | None,
) -> Tensor:
    """Return the gradient of a mean over windows; raises ValueError for windows that are not inside the map."""
    stride = list(stride) or list(kernel)
    spare = [n - (m - 1) * s - k for n, m, s, k in zip(x.shape[2:], gradient.shape[2:], stride, kernel, strict=True)]
    if any(padding) or min(spare) < 0:
        raise ValueError(
            f"an average pool whose windows reach over the edge of a {x.shape[2]} x {x.shape[3]} map cannot learn "
            f"outside of onward: {WITHOUT_STEP}, or train on images whose sides the pools divide"
        )
    channels = x.shape[1]
    ones = torch.full((channels, 1, *kernel), 1 / (divisor or kernel[0] * kernel[1]), device=x.device)
    return aten.convolution.default(gradient, ones, None, stride, [0, 0], [1, 1], True, spare, channels)


def _largest_backward(
    gradient: Tensor,
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
    indices: Tensor,
) -> Tensor:
    flat = torch.zeros_like(x).flatten(2)
    return flat.scatter_add(2, indices.flatten(2), gradient.flatten(2)).view_as(x)
