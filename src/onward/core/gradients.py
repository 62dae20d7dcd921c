"""Gradients of a training: computed in its own precision and on its device, regardless of the caller's modes."""

from collections.abc import Callable, Iterator
from contextlib import ContextDecorator, ExitStack, contextmanager
from functools import wraps
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

_F = TypeVar("_F", bound=Callable[..., Any])

_AUTOCAST = ("cpu", "cuda")


def gradients_on() -> "_GradientsOn":
    """Compute gradients inside the `with`, or the function it decorates, also under `no_grad` or `inference_mode`.

    New tensors are fp32 and on the CPU by default, regardless of torch's defaults. The caller's autocast is switched
    off inside: the precision of a training is one of its settings. If all of this holds already, nothing is changed.
    """
    return _GradientsOn()


class _GradientsOn(ContextDecorator):
    def __enter__(self) -> None:
        self.opened = ExitStack()
        if not _are_on():
            self.opened.enter_context(_switched_on())

    def __exit__(self, *error: Any) -> bool | None:
        return self.opened.__exit__(*error)

    def __call__(self, function: _F) -> _F:
        @wraps(function)
        def on(*args: Any, **named: Any) -> Any:
            if _are_on():
                return function(*args, **named)
            with _switched_on():
                return function(*args, **named)

        return cast(_F, on)


def _are_on() -> bool:
    return (
        torch.is_grad_enabled()
        and not torch.is_inference_mode_enabled()
        and torch.get_default_dtype() == torch.float32
        and torch.get_default_device().type == "cpu"
        and not any(map(torch.is_autocast_enabled, _AUTOCAST))
    )


@contextmanager
def _switched_on() -> Iterator[None]:
    with torch.inference_mode(False), torch.enable_grad(), common_defaults(), ExitStack() as stack:
        for kind in _AUTOCAST:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


@contextmanager
def common_defaults() -> Iterator[None]:
    """Use torch's own defaults for new tensors, fp32 and the CPU, regardless of the caller's settings."""
    dtype = torch.get_default_dtype()
    with ExitStack() as stack:
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if dtype != torch.float32:
            stack.callback(torch.set_default_dtype, dtype)
            torch.set_default_dtype(torch.float32)
        yield


def ordinary(tensor: Tensor) -> Tensor:
    """Return a tensor that a graph may hold: a copy of one that was made under `inference_mode`, else itself."""
    return tensor.clone() if tensor.is_inference() else tensor


@gradients_on()
def make_trainable(module: nn.Module) -> None:
    """Replace weights and buffers that were made under `inference_mode` by ordinary ones with the same values."""
    made: dict[int, Tensor] = {}
    for part in module.modules():
        for content in (part._parameters, part._buffers):
            for name, tensor in content.items():
                if tensor is None or not tensor.is_inference():
                    continue
                if id(tensor) not in made:
                    value = tensor.detach().clone()
                    own = isinstance(tensor, nn.Parameter)
                    made[id(tensor)] = nn.Parameter(value, tensor.requires_grad) if own else value
                content[name] = made[id(tensor)]  # pyright: ignore[reportArgumentType]
