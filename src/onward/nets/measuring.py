"""Layouts of the activities of a network's bodies: declared, or measured by a pass without data."""
# B batch, D features

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from onward.core.block import reads_stream
from onward.nets.layout import Layout

_ROWS = 2
_BY_AXES: dict[int, Layout] = {1: "vector", 2: "windows", 3: "map"}


def with_layouts(build: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a method that builds a net: each body gets its layout, the declared one or a measured one."""

    @wraps(build)
    def built(self: Any, shape: tuple[int, ...], num_classes: int) -> Any:
        net = build(self, shape, num_classes)
        for body in net.bodies if self.activities is not None else ():
            if not hasattr(body, "activity_layout"):
                body.activity_layout = self.activities
        measure(net, shape, tokens="tokens" in self.takes, name=type(self).__name__)
        return net

    return built


def measure(net: Any, shape: tuple[int, ...], *, tokens: bool = False, name: str = "the network") -> None:
    """Set `activity_layout` and `activity_shape` (D, ...) of each body of a net, unless it has a layout.

    `shape` is that of one input; `tokens`: it may be of whole numbers. Nothing is computed and no random number drawn.
    A body that cannot run on shapes alone stays unmeasured, and so do those after it.
    Raises ValueError for an activity whose features, `width` of them, are not on the first axis.
    """
    if all(hasattr(body, "activity_layout") for body in net.bodies):
        return
    shapes = _shapes(net, shape, torch.float32)
    if not shapes and tokens:
        shapes = _shapes(net, shape, torch.int64)
    for k, (body, width, seen) in enumerate(zip(net.bodies, net.widths, shapes, strict=False)):
        if not hasattr(body, "activity_layout"):
            _check_features_first(seen, width, f"body {k} of {name}")
            body.activity_shape, body.activity_layout = seen, _BY_AXES.get(len(seen), "volume")


def _check_features_first(shape: tuple[int, ...], width: int, what: str) -> None:
    if shape and shape[0] == width:
        return
    gives = f"{what} gives {list(shape)} for each input"
    if width in shape:
        raise ValueError(
            f"{gives}: its {width} features are on another axis than the first, where goodness reads them; move that "
            "axis (movedim), or train the network as a module, by onward.local, which finds its layout"
        )
    raise ValueError(f"{gives}, but its declared width is {width}: return the number of its features in widths")


def _shapes(net: Any, shape: tuple[int, ...], dtype: torch.dtype) -> list[tuple[int, ...]]:
    """Return the shape of each activity, up to the first body that cannot run on shapes alone."""
    shapes: list[tuple[int, ...]] = []
    with torch.no_grad(), torch.device("meta"), _evaluating([*net.bodies, *net.joins, *net.pools]):
        stream: tuple[Tensor, ...] = (torch.empty(_ROWS, *shape, dtype=dtype),)
        try:
            for body, join, pool in zip(net.bodies, net.joins, net.pools, strict=True):
                x, *skips = stream
                activity = _run(body, x, *(skips if reads_stream(body) else ()))
                shapes.append(tuple(activity.shape[1:]))
                stream = _run(join, _run(pool, activity), *skips)
        except Exception:  # noqa: BLE001 (whatever a network raises, it will raise in training too)
            pass
    return shapes


def _run(module: nn.Module, *inputs: Tensor) -> Any:
    """Call a module on shapes alone, those of its weights included."""
    tensors = [*module.named_parameters(), *module.named_buffers()]
    return functional_call(module, {name: torch.empty_like(t, device="meta") for name, t in tensors}, inputs)


@contextmanager
def _evaluating(modules: Sequence[nn.Module]) -> Iterator[None]:
    modes = [(part, part.training) for module in modules for part in module.modules()]
    try:
        for part, _ in modes:
            part.training = False
        yield
    finally:
        for part, training in modes:
            part.training = training
