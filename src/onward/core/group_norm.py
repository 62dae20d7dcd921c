"""Group norm of channels-last maps on the CPU, which PyTorch alone cannot train behind a detached input.

PyTorch's backward pass ends the process if the norm's weights need a gradient and its input does not (seen in 2.13): in
end-to-end training this is so in the first layer of the network, in layer-local training in that of every block.
"""
# B batch, C channels

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import lru_cache, partial
from inspect import getattr_static
from types import FunctionType
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_NOT_LOOKED_INTO = ("torch.", "onward.")  # onward calls it for norms without weights alone


def group_norms(module: nn.Module) -> tuple[nn.GroupNorm, ...]:
    """Return the group norms of a module that have weights."""
    return tuple(inner for inner in module.modules() if isinstance(inner, nn.GroupNorm) and inner.affine)


def calls_group_norm(module: nn.Module) -> bool:
    """Whether the code of a module, or of one inside it, or of what that calls, names the function `group_norm`."""
    held = [value for inner in module.modules() for value in vars(inner).values()]
    held = [value.func if isinstance(value, partial) else value for value in held]
    functions = {value for value in held if isinstance(value, FunctionType) or value is torch.group_norm}
    kinds = {type(inner) for inner in module.modules()}
    return any(map(_names_group_norm, kinds)) or any(_is_group_norm(function) for function in functions)


@contextmanager
def trainable_norms(norms: Sequence[nn.GroupNorm], *, function: bool = False) -> Iterator[None]:
    """Let these norms compute maps with channels last on the CPU in the usual layout; what they give has theirs.

    `function`: so does the function `group_norm`, inside the `with`.
    """
    with _InRows() if function else nullcontext(), _patched(norms):
        yield


@contextmanager
def _patched(norms: Sequence[nn.GroupNorm]) -> Iterator[None]:
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


class _InRows(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not _is_own(func):
            return func(*args, **(kwargs or {}))
        named = dict(kwargs or {})
        input, rest = (named.pop("input"), args) if "input" in named else (args[0], args[1:])
        return _in_rows(lambda rows: func(rows, *rest, **named), input)


def _is_own(thing: Any) -> bool:
    return any(thing is own for own in (F.group_norm, torch.group_norm))  # `in` asks an array for its entries


@lru_cache(maxsize=512)
def _names_group_norm(kind: type[nn.Module]) -> bool:
    return _is_group_norm(getattr_static(kind, "forward", None), kind)


def _is_group_norm(function: Any, kind: type | None = None) -> bool:
    """Whether a function is `group_norm`, or its code or that of a function or method that it names, names it."""
    waiting, seen = [function], set()
    while waiting:
        function = waiting.pop()
        function = getattr(function, "__func__", function) if isinstance(function, staticmethod) else function
        if _is_own(function):
            return True
        if (
            not isinstance(function, FunctionType)
            or function in seen
            or (function.__module__ or "").startswith(_NOT_LOOKED_INTO)
        ):
            continue
        seen.add(function)
        names = function.__code__.co_names
        if "group_norm" in names:
            return True
        waiting += [function.__globals__.get(name) for name in names] + [
            getattr_static(kind, name, None) for name in names
        ]
    return False
