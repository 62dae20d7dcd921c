"""The form of a model: shape and type of every tensor that its description implies, without making any."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)
from torch.overrides import TorchFunctionMode

from onward.core import Learner

Form = tuple[tuple[int, ...], str]
"""Shape and type of a tensor, as a safetensors file names it."""

_TYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_PARTS = 2_000  # tensors that a description may have beyond those of its file: those of blocks left out
_NUMBERS = 1_000_000_000  # numbers that it may have beyond those of its file
_SIZE = 1_000_000  # the largest setting of a file that holds fewer numbers


def forms_of(tensors: Mapping[str, Tensor]) -> dict[str, Form]:
    """Return the form of every tensor."""
    return {name: (tuple(t.shape), _TYPES.get(t.dtype, str(t.dtype))) for name, t in tensors.items()}


def check_forms(wanted: Mapping[str, Form], stored: Mapping[str, Form]) -> None:
    """Raise ValueError naming the first tensor that is missing, not asked for, or of another shape or type.

    A size of 0 means any: it is known once the tensor is fitted.
    """
    for name, (shape, kind) in wanted.items():
        if name not in stored:
            raise ValueError(f"{name} is missing")
        given, given_kind = stored[name]
        alike = len(given) == len(shape) and all(a in (b, 0) for a, b in zip(shape, given, strict=True))
        if not alike or given_kind != kind:
            raise ValueError(f"{name} must be {kind} {list(shape)}, not {given_kind} {list(given)}")
    strange = sorted(stored.keys() - wanted.keys())
    if strange:
        raise ValueError(f"{strange[0]} belongs to no part of the network")


def check_sizes(settings: Any, stored: Mapping[str, Form]) -> None:
    """Raise ValueError for a setting larger than anything in a file of these tensors can be."""
    most = max(_SIZE, _count(stored))
    for field in fields(settings):
        value = getattr(settings, field.name)
        if is_dataclass(value):
            check_sizes(value, stored)
        elif isinstance(value, int) and value > most:
            raise ValueError(f"{field.name} {value} of {type(settings).__name__} is more than its weights can be of")


@contextmanager
def without_numbers(stored: Mapping[str, Form]) -> Iterator[None]:
    """Build modules inside the `with` as shapes alone.

    Raises ValueError as soon as they ask for far more than a file of the tensors `stored` can hold.
    """
    tensors, numbers, thread = _PARTS + 10 * len(stored), _NUMBERS + 20 * _count(stored), threading.get_ident()
    asked = [0, 0]

    def count(module: nn.Module, name: str, tensor: Tensor | None) -> None:
        if tensor is None or threading.get_ident() != thread:
            return
        asked[0] += 1
        asked[1] += tensor.numel()
        if asked[0] > tensors or asked[1] > numbers:
            raise ValueError(f"the description asks for far more than the {_count(stored):,} numbers of the weights")

    hooks = register_module_parameter_registration_hook(count), register_module_buffer_registration_hook(count)
    try:
        with torch.device("meta"), _NothingDrawn():
            yield
    finally:
        for hook in hooks:
            hook.remove()


def prepared_forms(shape: tuple[int, ...], side: int, *, kind: str | None = None) -> dict[str, Form]:
    """Return the tensors of a preparation, which is known without building it; `kind` that of inputs of no unit."""
    prefix = "prepare." if not side else "prepare.0."
    channels = 1 if kind == "tokens" else shape[0]
    sides = (channels, *[1] * (len(shape) - 1))
    forms: dict[str, Form] = {f"{prefix}mean": (sides, "F32" if kind is None else "F64")}
    forms[f"{prefix}deviation"] = (sides, "F32")
    if side:
        forms["prepare.1.weight"] = ((2 * channels * side**2, channels, side, side), "F32")
    return forms


def blocks_of(learner: Learner) -> dict[str, Tensor]:
    """Return the state of a learner without that of its preparation."""
    return {name: value for name, value in learner.state_dict().items() if not name.startswith("prepare.")}


class _NothingDrawn(TorchFunctionMode):
    """Leaves tensors without numbers as they are: to draw them, torch would import its compiler for seconds."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in ("normal_", "uniform_"):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def _count(forms: Mapping[str, Form]) -> int:
    return sum(prod(shape) for shape, _ in forms.values())
