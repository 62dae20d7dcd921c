"""Obstacles: operations of a step that a CUDA graph cannot repeat, each with the function that calls it.

A graph repeats kernels on the same addresses. It cannot read a value on the host, choose a shape by a value, copy from
the host, create a random generator or run Python; such a step would fail in the capture, or repeat old numbers.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks
from torch.utils._python_dispatch import TorchDispatchMode

from onward.core import seeds
from onward.core.learner import Learner

_READS = {"is_nonzero", "equal", "allclose"}  # in addition to those that torch tags as data-dependent
_TORCH, _LAYERS = str(Path(torch.__file__).parent), Path(nn.modules.__file__).parent
_OWN = (__file__, seeds.__file__)
_NOT_TENSORS = (bool, int, float, str, type(None))


def obstacles(work: Callable[[], object], learner: Learner) -> list[str]:
    """Do work of a learner on its device and return the reasons why no graph can repeat it; empty if there are none."""
    reasons = _hooks(learner)
    before = _python_state(learner)
    with _Watch(learner.device) as watch, _generators_watched(watch), seeds.seed_readers(watch.note_seed):
        work()
    after = _python_state(learner)
    changed = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
    reasons += [f"{name} changes in Python" for name in sorted(changed)]
    return list(dict.fromkeys(reasons + watch.reasons))


def _hooks(learner: Learner) -> list[str]:
    """Name the modules with hooks, which Python runs; those of optimizers apply to every one in the process."""
    hooked = [
        f"{name or 'the learner'} has hooks, which Python runs"
        for name, module in learner.named_modules()
        if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    ]
    if _global_optimizer_pre_hooks or _global_optimizer_post_hooks:
        hooked.append("optimizers have hooks, which Python runs")
    return hooked


def _python_state(learner: nn.Module) -> dict[str, Any]:
    """Return the plain values that modules hold, and the addresses of their tensors."""
    state = {}
    for path, module in learner.named_modules():
        held = {**module.__dict__, **module._parameters, **module._buffers}
        for name, value in held.items():
            where = ".".join(part for part in (path, name) if part)
            if isinstance(value, Tensor):
                state[where] = value.data_ptr()
            elif isinstance(value, _NOT_TENSORS) and name != "training":
                state[where] = value
    return state


class _Watch(TorchDispatchMode):
    def __init__(self, device: torch.device):
        super().__init__()
        self.device = device
        self.reasons: list[str] = []

    def note(self, what: str) -> None:
        self.reasons.append(f"{what} ({_where()})")

    def note_seed(self) -> None:
        self.note("reads the seed of the step")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, tags = func.overloadpacket.__name__, func.tags
        if torch.Tag.data_dependent_output in tags or name in _READS:
            self.note("reads a value on the host")
        elif name == "lift_fresh":
            self.note("copies numbers from the host")
        elif name in ("index", "index_put", "index_put_"):
            if any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1]):
                self.note("has a shape that depends on values")
        elif torch.Tag.dynamic_output_shape in tags:
            self.note("has a shape that depends on values")
        out = func(*args, **(kwargs or {}))
        if self._between_devices(args, out):
            self.note("copies between devices")
        elif (
            torch.Tag.nondeterministic_seeded in tags
            and isinstance(out, Tensor)
            and out.device.type not in (self.device.type, "meta")
        ):
            self.note(f"draws on {out.device}")
        return out

    def _between_devices(self, args: tuple[Any, ...], out: Any) -> bool:
        """Whether values move from one device to another; a scalar on the CPU is passed to a kernel directly."""
        if not isinstance(out, Tensor):
            return False
        devices = {arg.device.type for arg in (*args, out) if isinstance(arg, Tensor) and (arg.ndim or arg is out)}
        return len(devices - {"meta"}) > 1  # meta: shapes alone


@contextmanager
def _generators_watched(watch: _Watch) -> Iterator[None]:
    """Note each generator that is made inside the `with`."""
    real = torch.Generator

    class Watched(real):
        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            watch.note("creates a random generator")
            return real(*args, **kwargs)

    with ExitStack() as stack:
        stack.callback(setattr, torch, "Generator", real)
        torch.Generator = Watched  # pyright: ignore[reportAttributeAccessIssue]
        yield


def _where() -> str:
    """Return the innermost running function outside of torch and of this file, and the layer of torch that it runs."""
    layer, frame = "", sys._getframe(2)
    while frame is not None:
        path, file = Path(frame.f_code.co_filename), frame.f_code.co_filename
        if path.parent == _LAYERS and path.stem not in ("module", "container"):
            layer = layer or f": {path.stem}"
        elif file not in _OWN and not file.startswith((_TORCH, "<")) and "jaxtyping" not in file:
            return f"{frame.f_code.co_name} in {'/'.join(path.parts[-3:])}{layer}"
        frame = frame.f_back
    return "torch"
