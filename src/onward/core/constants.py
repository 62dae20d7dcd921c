"""Constants: small tensors that every step reads and none changes, created once per device."""
# K numbers

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

_KEYS: Any = torch._C._TorchDispatchModeKey
_FAKE, _PROXY, _FUNCTIONAL = _KEYS.FAKE, _KEYS.PROXY, _KEYS.FUNCTIONAL

_HOLDERS: list[list[Tensor]] = []


def constant(make: Callable[..., Tensor], *values: Hashable) -> Tensor:
    """Return `make(*values)`: the same tensor every time, which must not be written to.

    While a program is traced, a new one is created, so that the program does not depend on earlier computations.
    """
    if _traced():
        return make(*values)
    made = _made(make, *values)
    if _HOLDERS:
        _HOLDERS[-1].append(made)
    return made


@contextmanager
def constants_held() -> Iterator[list[Tensor]]:
    """Collect the constants that are used inside the `with`, also by other threads: a graph reads their addresses."""
    held: list[Tensor] = []
    _HOLDERS.append(held)
    try:
        yield held
    finally:
        _HOLDERS.remove(held)


def numbers(
    values: float | tuple[float, ...], dtype: torch.dtype, device: torch.device
) -> Float[Tensor, ""] | Float[Tensor, "K"]:
    """Return a number, or several, as a constant."""
    return constant(_filled, values, dtype, device)


def _filled(values: float | tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    if isinstance(values, tuple):
        return torch.tensor(values, dtype=dtype, device=device)
    return torch.full((), values, dtype=dtype, device=device)


@lru_cache(maxsize=1024)
def _made(make: Callable[..., Tensor], *values: Hashable) -> Tensor:
    with torch.inference_mode(False):  # a graph may hold it
        return make(*values)


def _traced() -> bool:
    if torch.compiler.is_compiling():
        return True
    mode = torch._C._get_dispatch_mode  # asked several times in every step: no generator
    return bool(mode(_FAKE) or mode(_PROXY) or mode(_FUNCTIONAL))
