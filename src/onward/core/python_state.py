"""Python state: what modules hold beside their tensors, described so that a change by a step shows."""

import hashlib
from collections.abc import Iterable
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_OF_TORCH = frozenset(vars(nn.Module()))  # what torch keeps in every module: its mode, its parts and its hooks
_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_WHICH = (nn.Module, torch.Generator, type, FunctionType, BuiltinFunctionType, MethodType)  # content is not looked at


def python_state(learner: nn.Module) -> dict[str, Any]:
    """Return, by name, the values that modules hold, and the addresses of their tensors.

    Lists, dicts and other objects are described by their whole content, if they can be copied.
    """
    state = {}
    for path, module in learner.named_modules():
        own = {name: value for name, value in vars(module).items() if name not in _OF_TORCH}
        for name, value in {**own, **module._parameters, **module._buffers}.items():
            state[".".join(part for part in (path, name) if part)] = _described(value, set())
    return state


def numpys_state() -> Any:
    """Return the state from which numpy's functions draw."""
    return _described(np.random.get_state(), set())


def _described(value: Any, above: set[int]) -> Any:
    """Return a value's content as tuples; `above` are the objects that it is inside of."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Tensor):
        return value.data_ptr()
    if isinstance(value, _WHICH) or id(value) in above:
        return id(value)
    inside = above | {id(value)}
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return value.shape, hashlib.blake2b(value.tobytes()).digest()
    if type(value) in (list, tuple, set, frozenset):
        return _all(value, inside)
    if type(value) is dict:
        return _all(value, inside), _all(value.values(), inside)
    try:
        made, *parts = value.__reduce_ex__(2)  # what copies it: the class, and what it is filled with
    except Exception:  # noqa: BLE001 (an object that cannot be copied raises whatever it likes)
        return id(value)
    return id(made), *(_all(part, inside) if hasattr(part, "__next__") else _described(part, inside) for part in parts)


def _all(values: Iterable[Any], inside: set[int]) -> tuple[Any, ...]:
    return tuple(_described(value, inside) for value in values)
