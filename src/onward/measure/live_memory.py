"""Memory by purpose: every tensor storage that is alive during a training step, and those at the peak."""
# B batch, K numbers or labels of a target

import weakref
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Shaped
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from onward.core import LocalTrainer

CATEGORIES = ("parameters", "optimizer", "gradients", "activations", "batch", "workspace")
"""Weights and buffers; optimizer state and averages; gradients of weights; inputs, outputs and saved tensors of blocks;
the loaded batch; everything else."""

_FIXED = ("parameters", "optimizer", "batch")


@dataclass(eq=False)
class Held:
    """One storage: its bytes, its purpose, the operation that created it, and its first shape."""

    size: int
    category: str
    operation: str
    shape: tuple[int, ...]
    dtype: str


@runtime_checkable
class TakesSteps(Protocol):
    """Protocol of a trainer: a `LocalTrainer`, or an adapter of another one."""

    @property
    def learner(self) -> Any:
        """A module with `blocks`."""
        ...

    @property
    def optimizers(self) -> Any:
        """Objects with a method `state()` that returns a dict of tensors."""
        ...


class MemoryMeter:
    """Counts, inside a `with`, the bytes of all tensor storages that training steps of `trainer` keep alive.

    The results of every operation are recorded, also inside a backward pass; a storage counts once, whole, until it is
    freed. Memory that an operation allocates and frees before it returns is not counted. Equal code gives equal numbers
    on every device. `batch`: the tensors that the caller holds during the step. A meter is for one thread.
    """

    def __init__(self, trainer: TakesSteps, batch: Iterable[Tensor] = ()):
        self.alive = 0
        self.peak = 0
        self._at_peak: list[Held] = []
        self._held: dict[int, Held] = {}
        self._trainer = trainer
        self._batch = tuple(batch)
        self._stack = ExitStack()

    def __enter__(self) -> "MemoryMeter":
        self._take_stock()
        for block in self._trainer.learner.blocks:
            for module in (block.body, block.handoff):
                self._keep(module.register_forward_pre_hook(self._entering))
                self._keep(module.register_forward_hook(self._leaving))
            for parameter in block.parameters():
                if parameter.requires_grad:
                    self._keep(parameter.register_post_accumulate_grad_hook(self._accumulated))
        self._stack.enter_context(torch.autograd.graph.saved_tensors_hooks(self._pack, _unpack))
        self._stack.enter_context(_Watch(self))
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    @property
    def by_category(self) -> dict[str, int]:
        """Bytes of each category at the moment of the peak; they add up to the peak."""
        return {name: sum(held.size for held in self._at_peak if held.category == name) for name in CATEGORIES}

    @property
    def largest(self) -> list[Held]:
        """All storages alive at the peak, the largest first."""
        return sorted(self._at_peak, key=lambda held: -held.size)

    def see(self, tensor: Tensor, operation: str, category: str = "workspace") -> None:
        """Record a tensor's storage, or update its purpose."""
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        held = self._held.get(key)
        if held is None:
            self._held[key] = Held(size, category, operation, tuple(tensor.shape), str(tensor.dtype))
            weakref.finalize(storage, self._freed, key).atexit = False
            self._grow(size)
        else:
            if held.category not in _FIXED and category != "workspace":
                held.category = category
            if size != held.size:  # resized in place
                held.size, grown = size, size - held.size
                self._grow(grown)

    def _grow(self, size: int) -> None:
        self.alive += size
        if self.alive > self.peak:
            self.peak, self._at_peak = self.alive, list(self._held.values())

    def _freed(self, key: int) -> None:
        self.alive -= self._held.pop(key).size

    def _take_stock(self) -> None:
        learner, optimizers = self._trainer.learner, self._trainer.optimizers
        stock = {
            "parameters": [*learner.parameters(), *learner.buffers()],
            "optimizer": [tensor for optimizer in optimizers for tensor in optimizer.state().values()],
            "batch": self._batch,
        }
        for category, tensors in stock.items():
            for tensor in tensors:
                self.see(tensor, category, category)

    def _keep(self, handle: Any) -> None:
        self._stack.callback(handle.remove)

    def _entering(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        for tensor in inputs:
            self.see(tensor, "input", "activations")

    def _leaving(self, module: nn.Module, inputs: tuple[Tensor, ...], outputs: Any) -> None:
        for tensor in tree_leaves(outputs):
            self.see(tensor, "output", "activations")

    def _accumulated(self, parameter: Tensor) -> None:
        assert parameter.grad is not None
        self.see(parameter.grad, "gradient", "gradients")

    def _pack(self, tensor: Tensor) -> Tensor:
        self.see(tensor, "saved", "activations")
        return tensor.detach()  # a saved output that held its grad_fn would keep its own graph alive


def _unpack(saved: Tensor) -> Tensor:
    return saved


class _Watch(TorchDispatchMode):
    """Passes all outputs of operations to a meter."""

    def __init__(self, meter: MemoryMeter):
        super().__init__()
        self.meter = meter

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.device.type != "meta":
                self.meter.see(leaf, str(func))
        return result


class Floor(NamedTuple):
    """Least memory of a layer-wise step, in bytes: weights, optimizer state, and the tensors of its largest block.

    That block needs its input with the open skip connections, its activity, and the gradients of activity and weights.
    """

    parameters: int
    optimizer: int
    block: int

    @property
    def total(self) -> int:
        return sum(self)


def memory_floor(trainer: LocalTrainer, x: Shaped[Tensor, "B ..."], y: Shaped[Tensor, "B *K"]) -> Floor:
    """Add up the floor of a step on this batch; optimizers that have not stepped yet have no state to count."""
    learner, needs, entered = trainer.learner, [], []

    def before(body: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        entered[:] = inputs

    def after(handoff: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        activity, *skips = inputs
        needs.append(_bytes([*entered, *skips]) + 2 * _bytes([activity]))

    with ExitStack() as hooks:
        for block in learner.blocks:
            hooks.callback(block.body.register_forward_pre_hook(before).remove)
            hooks.callback(block.handoff.register_forward_pre_hook(after).remove)
        stream, _ = trainer.enter(x, y, step=0)
        trainer.advance(stream, 0, len(learner.blocks), step=0)
    weights = [_bytes([p for p in block.parameters() if p.requires_grad]) for block in learner.blocks]
    return Floor(
        _bytes([*learner.parameters(), *learner.buffers()]),
        _bytes([tensor for optimizer in trainer.optimizers for tensor in optimizer.state().values()]),
        max(need + weight for need, weight in zip(needs, weights, strict=True)),
    )


def _bytes(tensors: Iterable[Tensor]) -> int:
    """Add up the storages of tensors, each once."""
    return sum({s._cdata: s.nbytes() for s in (tensor.untyped_storage() for tensor in tensors)}.values())
