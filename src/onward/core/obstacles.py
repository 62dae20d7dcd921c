"""Obstacles: operations of a step that a CUDA graph cannot repeat, each with the function that calls it.

A graph repeats kernels on the same addresses. It cannot read a value on the host, choose a shape by a value, copy from
the host, create or reset a random generator or run Python; such a step would fail in the capture, or repeat old
numbers.
"""

import contextlib
import random
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from onward.core import seeds
from onward.core.learner import Learner
from onward.core.python_state import numpys_state, python_state

_READS = {"is_nonzero", "equal", "allclose"}  # in addition to those that torch tags as data-dependent
_DATA_SET = vars(torch._C.TensorBase)["data"].__set__
_HOST_READS = {Tensor.numpy, Tensor.tolist, Tensor.__array__, Tensor.__dlpack__}  # that are no operations on tensors
_TORCH, _LAYERS = str(Path(torch.__file__).parent), Path(nn.modules.__file__).parent
_OWN = (__file__, seeds.__file__, random.__file__, contextlib.__file__)


def obstacles(
    work: Callable[[], object], learner: Learner, optimizers: Iterable[torch.optim.Optimizer] = ()
) -> list[str]:
    """Do work of a learner on its device and return the reasons why no graph can repeat it; empty if there are none.

    `optimizers`: those that the work steps.
    """
    reasons = _hooks(learner, optimizers)
    before, drawn = python_state(learner), numpys_state()
    with ExitStack() as stack:
        watch = stack.enter_context(_Watch(learner.device))
        for watching in (
            _Calls(watch),
            _generators_watched(watch),
            _random_watched(watch),
            seeds.seed_readers(watch.note_seed),
        ):
            stack.enter_context(watching)
        work()
    after = python_state(learner)
    changed = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
    reasons += [f"{name} changes in Python" for name in sorted(changed)]
    if numpys_state() != drawn:
        reasons.append("draws from numpy's random numbers")
    return list(dict.fromkeys(reasons + watch.reasons))


def _hooks(learner: Learner, optimizers: Iterable[torch.optim.Optimizer]) -> list[str]:
    """Name the modules and weights with hooks, which Python runs; global ones apply to every one in the process."""
    hooked = [
        f"{name or 'the learner'} has hooks, which Python runs"
        for name, module in learner.named_modules()
        if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    ]
    hooked += [f"{name} has hooks, which Python runs" for name, p in learner.named_parameters() if has_hooks(p)]
    if _has_any_global_hook():
        hooked.append("modules have hooks, which Python runs")
    own = any(one._optimizer_step_pre_hooks or one._optimizer_step_post_hooks for one in optimizers)
    if own or _global_optimizer_pre_hooks or _global_optimizer_post_hooks:
        hooked.append("optimizers have hooks, which Python runs")
    return hooked


def has_hooks(weight: Tensor) -> bool:
    """Whether Python runs something whenever a weight gets its gradient."""
    return bool(weight._backward_hooks or getattr(weight, "_post_accumulate_grad_hooks", None))


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


class _Calls(TorchFunctionMode):
    """Notes calls that are no operations on tensors, and that a graph would not repeat."""

    def __init__(self, watch: _Watch):
        super().__init__()
        self.watch = watch

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _HOST_READS:
            self.watch.note("reads a value on the host")
        elif func == _DATA_SET:
            self.watch.note("exchanges the memory of a tensor")
        return func(*args, **(kwargs or {}))


class _Reset:
    """Stands for torch's own generator and notes where its state is set to another one, as if draws had not been."""

    def __init__(self, generator: torch.Generator, watch: _Watch):
        self.generator, self.watch = generator, watch

    def __getattr__(self, name: str) -> Any:
        return getattr(self.generator, name)

    def set_state(self, state: Tensor) -> torch.Generator:
        with _disable_current_modes():
            same = torch.equal(state, self.generator.get_state())
        if not same:
            self.watch.note("sets the state of random numbers")
        return self.generator.set_state(state)

    def manual_seed(self, seed: int) -> torch.Generator:
        self.watch.note("sets the seed of random numbers")
        return self.generator.manual_seed(seed)


@contextmanager
def _generators_watched(watch: _Watch) -> Iterator[None]:
    """Note each generator that is made inside the `with`, and where the state of torch's own is set."""
    real = torch.Generator

    class Watched(real):
        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            watch.note("creates a random generator")
            return real(*args, **kwargs)

    with ExitStack() as stack:
        stack.callback(setattr, torch, "Generator", real)
        torch.Generator = Watched  # pyright: ignore[reportAttributeAccessIssue]
        stack.callback(setattr, torch.random, "default_generator", torch.default_generator)
        torch.random.__dict__["default_generator"] = _Reset(torch.default_generator, watch)
        yield


@contextmanager
def _random_watched(watch: _Watch) -> Iterator[None]:
    """Note each draw by Python's own generator in this thread; beartype's checks draw which item they look at."""
    own, before = random.random.__self__, sys.getprofile()

    def look(frame: FrameType, event: str, called: Any) -> None:
        if (
            event == "c_call"
            and getattr(called, "__self__", None) is own
            and "beartype" not in frame.f_code.co_filename
        ):
            watch.note("draws from Python's random module")

    sys.setprofile(look)
    try:
        yield
    finally:
        sys.setprofile(before)


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
