"""Formulas of torch's fused optimizers, in operations that a compiler joins with others; a fused one stays a call."""
# P elements of a parameter

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

Tensors = Sequence[Tensor]
Number = float | Tensor


def adam(
    weights: Tensors,
    gradients: Tensors,
    means: Tensors,
    squares: Tensors,
    largest: Tensors,
    steps: Tensors,
    *,
    lr: Number,
    beta1: float,
    beta2: float,
    weight_decay: float,
    eps: float,
    amsgrad: bool,
    maximize: bool,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
    decoupled: bool,
) -> None:
    """Move weights in place by Adam; `decoupled`: as AdamW does. `steps` already count this one.

    From `torch.optim`; onward uses no amsgrad, maximizes nothing and scales no gradient.
    """
    assert not amsgrad and not maximize and grad_scale is None and found_inf is None and not largest
    for weight, gradient, mean, square, step in zip(weights, gradients, means, squares, steps, strict=True):
        if decoupled and weight_decay:
            weight.mul_(1 - lr * weight_decay)
        elif weight_decay:
            gradient = gradient.add(weight, alpha=weight_decay)
        mean.lerp_(gradient, 1 - beta1)
        square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        spread = square.sqrt() / (1 - beta2**step).sqrt() + eps
        weight.sub_(lr / (1 - beta1**step) * mean / spread)


def sgd(
    weights: Tensors,
    gradients: Tensors,
    momenta: Tensors,
    *,
    lr: Number,
    weight_decay: float,
    momentum: float,
    dampening: float,
    nesterov: bool,
    maximize: bool,
    is_first_step: bool,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
) -> None:
    """Move weights in place by stochastic gradient descent. From `torch.optim`; onward uses neither of its variants."""
    assert not nesterov and not maximize and grad_scale is None and found_inf is None
    for index, (weight, gradient) in enumerate(zip(weights, gradients, strict=True)):
        if weight_decay:
            gradient = gradient.add(weight, alpha=weight_decay)
        if momentum:
            own = momenta[index]
            gradient = own.copy_(gradient) if is_first_step else own.mul_(momentum).add_(gradient, alpha=1 - dampening)
        weight.sub_(lr * gradient)


_ATEN = torch.ops.aten
FORMULAS: dict[Any, Callable[..., None]] = {
    _ATEN._fused_adamw_.default: partial(adam, decoupled=True),
    _ATEN._fused_adamw_.tensor_lr: partial(adam, decoupled=True),
    _ATEN._fused_adam_.default: partial(adam, decoupled=False),
    _ATEN._fused_adam_.tensor_lr: partial(adam, decoupled=False),
    _ATEN._fused_sgd_.default: sgd,
    _ATEN._fused_sgd_.tensor_lr: sgd,
}
"""By torch's operation, with the arguments of that operation."""
