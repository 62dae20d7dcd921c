"""Python state: what modules hold beside their tensors, as digests that tell whether a step changes it."""

import hashlib
import pickle
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_OF_TORCH = frozenset(vars(nn.Module()))  # what torch keeps in every module: its mode, its parts and its hooks
_PLAIN = (bool, int, float, str, type(None))
_BY_IDENTITY = (nn.Module, torch.Generator, FunctionType, BuiltinFunctionType, MethodType)


def python_state(learner: nn.Module) -> dict[str, Any]:
    """Return, by name, the values that modules hold, and the addresses of their tensors.

    Lists, dicts and other objects are compared by their whole content, unless it cannot be pickled.
    """
    state = {}
    for path, module in learner.named_modules():
        own = {name: value for name, value in vars(module).items() if name not in _OF_TORCH}
        for name, value in {**own, **module._parameters, **module._buffers}.items():
            state[".".join(part for part in (path, name) if part)] = _described(value)
    return state


def numpys_state() -> Any:
    """Return the state from which numpy's functions draw."""
    return _described(np.random.get_state())


def _described(value: Any) -> Any:
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Tensor):
        return value.data_ptr()
    digest = hashlib.blake2b()
    try:
        _Digest(_Hashed(digest), protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    except Exception:  # noqa: BLE001 (an object that cannot be pickled raises whatever it likes)
        return None
    return digest.digest()


class _Hashed:
    """A file of which only a hash is kept."""

    def __init__(self, digest: Any):
        self.write = digest.update


class _Digest(pickle.Pickler):
    """Writes tensors as their addresses; modules, generators and functions as which ones they are."""

    def persistent_id(self, obj: Any) -> Any:
        if isinstance(obj, Tensor):
            return "tensor", obj.data_ptr(), tuple(obj.shape)
        return ("one", id(obj)) if isinstance(obj, _BY_IDENTITY) else None
