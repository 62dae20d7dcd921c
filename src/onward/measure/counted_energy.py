"""Energy of a training step by counting: multiply-adds by precision and bytes moved, at stated picojoules each.

Picojoules are those of M. Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014, for a 45 nm
process at 0.9 V. They rank methods on one hypothetical device; they are not the energy of this machine.
"""
# B batch, K numbers or labels of a target

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from onward.core import LocalTrainer

PICOJOULES = {
    "fp64": 18.4,  # four times fp32: a product of twice the digits; Horowitz states none
    "fp32": 3.7 + 0.9,
    "fp16": 1.1 + 0.4,
    "bf16": 1.1 + 0.9,  # a product as in fp16, a sum in fp32
    "int8": 0.2 + 0.1,  # a product of 8 bits, a sum of 32
}
"""Picojoules of a multiply-add: product plus sum."""

PICOJOULES_PER_BYTE = 1300 / 8
"""Picojoules per byte of memory outside the processor: the lower of Horowitz's 1.3 to 2.6 nJ for 64 bits of DRAM."""

_NAMES = {
    torch.float64: "fp64",
    torch.float32: "fp32",
    torch.float16: "fp16",
    torch.bfloat16: "bf16",
    torch.int8: "int8",
    torch.uint8: "int8",
}

_MOVES_NOTHING = {
    f"aten::{name}" for name in ("empty", "empty_like", "empty_strided", "new_empty", "_unsafe_view", "resize_")
}


class Operations(NamedTuple):
    """Operations of a function call: multiply-adds of products by precision, and bytes read and written.

    Every operation is assumed to read its inputs from memory and write its results there, each once, without a cache.
    This is an upper bound; fused operations move less.
    """

    macs: dict[str, int]
    bytes_moved: int

    @property
    def compute_joules(self) -> float:
        """Energy of the multiply-adds alone."""
        return 1e-12 * sum(PICOJOULES[precision] * count for precision, count in self.macs.items())

    @property
    def memory_joules(self) -> float:
        """Energy of moving the bytes, if all of them are in memory outside the processor."""
        return 1e-12 * PICOJOULES_PER_BYTE * self.bytes_moved

    @property
    def joules(self) -> float:
        return self.compute_joules + self.memory_joules


def step_operations(trainer: LocalTrainer, x: Float[Tensor, "B ..."], y: Shaped[Tensor, "B *K"]) -> Operations:
    """Train one step and count its operations; if spans take turns, the mean over one step of each turn."""
    turns = range(len(trainer.learner.turns))
    operations = operations_of(lambda: [trainer.step(x, y, step=turn) for turn in turns])
    macs = {name: count // len(turns) for name, count in operations.macs.items()}
    return Operations(macs, operations.bytes_moved // len(turns))


def operations_of(work: Callable[[], object]) -> Operations:
    """Call `work` and count its operations."""
    with _Count() as count:
        work()
    return Operations({name: flops // 2 for name, flops in count.flops.items()}, count.bytes_moved)


class _Count(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.flops: Counter[str] = Counter()
        self.bytes_moved = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        read = _tensors((args, kwargs or {}))
        written = _tensors(result)
        if not written and func._schema.is_mutable:
            written = _tensors(args[:1])  # operations on lists of tensors return nothing
        if func._overloadpacket in flop_registry:
            flops = flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=result)
            self.flops[_NAMES[read[0].dtype]] += flops
        if not (func.is_view or func._overloadpacket._qualified_op_name in _MOVES_NOTHING):
            self.bytes_moved += sum(map(_bytes, read)) + sum(map(_bytes, written))
        return result


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _bytes(tensor: Tensor) -> int:
    """Return the bytes of a tensor's stored values; expanded values count once."""
    shape = [size for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride]
    return tensor.element_size() * torch.Size(shape).numel() if tensor.numel() else 0
