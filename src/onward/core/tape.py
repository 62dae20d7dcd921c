"""A tape: every operation of some work on tensors, its gradients and its writes included, as one graph."""

import operator
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map_only
from torch.utils.weak import WeakTensorKeyDictionary

from onward.core.draws import drawing_from

Program = Callable[..., Sequence[Tensor]]
"""Computes what a graph does from the graph's inputs, some of which it writes to, and returns the graph's outputs."""

_FIRST_SEED = 1 << 62  # the first generator of a tape has it, the second the next: the seed tells which one draws


@dataclass(frozen=True)
class Taped:
    """Work as a graph, whose inputs are the tensors from outside and the random numbers, and who gives each."""

    graph: fx.GraphModule
    sources: list[Callable[[], Tensor]]
    leaving: list[Tensor | None]
    """The tensors from outside among those that leave; None: an output of the graph."""

    def inputs(self) -> list[Tensor]:
        """Return the tensors from outside, and new random numbers."""
        return [source() for source in self.sources]


class Tape(TorchDispatchMode):
    """Does work and writes it down; afterwards what the work had written to outside has its values of before.

    `formulas` are written down in place of the operations that they stand for; all others are repeated bit for bit.
    Random numbers are drawn before the graph, by the same calls from the same generators, so that they are those of the
    work. Numbers that Python computes, and shapes, are those of the recording.

    Raises RuntimeError, naming the operation, for draws that are no part of a step or depend on what the work computes,
    and for tensors in common memory.
    """

    def __init__(self, generators: Sequence[torch.Generator], formulas: Mapping[Any, Callable[..., None]]):
        super().__init__()
        self.formulas = formulas
        self.generators = generators
        self._seed()
        self._graph = fx.Graph()
        self._first = self._graph.call_function(tuple)  # inputs stand before it; it is removed at the end
        self._nodes: Any = WeakTensorKeyDictionary()  # of the tensors that the work made
        self._outside: dict[Hashable, tuple[Tensor, fx.Node]] = {}
        self._memory: dict[int, torch.UntypedStorage] = {}  # of the tensors from outside, by address
        self._before: dict[int, torch.UntypedStorage] = {}  # copies of those that were written to
        self._sources: dict[fx.Node, Callable[[], Tensor]] = {}
        self._made: list[Tensor] = []  # outputs of the graph, as the recorded work gave them
        self._written: list[int] = []  # sums of the memory that it wrote to

    def record(self, work: Callable[[], Sequence[Tensor]]) -> Taped:
        """Do the work, which returns the tensors that leave it, and return its graph."""
        try:
            with self:
                leaving = work()
            self._check_memory()
            outside = [None if tensor in self._nodes else tensor for tensor in leaving]
            self._made = [tensor for tensor in leaving if tensor in self._nodes]
            self._graph.output(tuple(self._nodes[tensor] for tensor in self._made))
            self._written = self._sums()
        finally:
            self._restore()
        self._graph.eliminate_dead_code()
        sources = [self._sources[node] for node in self._graph.nodes if node.op == "placeholder"]
        return Taped(fx.GraphModule({}, self._graph), sources, outside)

    def check(self, taped: Taped, program: Program, *, exact: bool) -> None:
        """Run a program of the recorded graph once, from the numbers of the recording, and undo it.

        Raises what the program raises, and RuntimeError where an exact one gives other results than the work.
        """
        self._seed()
        try:
            made = program(*taped.inputs())
            if exact and not (all(map(_same, made, self._made)) and self._sums() == self._written):
                raise RuntimeError("its operations give other numbers when they are repeated")
        finally:
            self._restore()

    def _seed(self) -> None:
        for number, generator in enumerate(self.generators):
            generator.manual_seed(_FIRST_SEED + number)

    def _restore(self) -> None:
        for address, values in self._before.items():
            self._memory[address].copy_(values)

    def _sums(self) -> list[int]:
        """Return the sum of the bytes of each storage that was written to: other values hardly ever have the same."""
        memory = [torch.empty(0, dtype=torch.uint8).set_(self._memory[address]) for address in self._before]  # pyright: ignore[reportArgumentType]
        return [int(values.sum(dtype=torch.int64)) for values in memory]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.aten.native_batch_norm.default and args[3] is not None:
            func = torch.ops.aten._native_batch_norm_legit.default  # its signature says that it writes to statistics
        if func.namespace == "profiler":
            return func(*args, **kwargs)
        if func in self.formulas:
            with self:
                return self.formulas[func](*args, **kwargs)
        if torch.Tag.nondeterministic_seeded in func.tags:
            return self._draw(func, args, kwargs)
        own_args, own_kwargs = tree_map_only(Tensor, self._node, (args, kwargs))
        for tensor in _written(func, args, kwargs):
            self._keep(tensor)
        out = func(*args, **kwargs)
        given = {id(leaf) for leaf in tree_iter((args, kwargs)) if isinstance(leaf, Tensor)}
        self._note(out, self._graph.call_function(func, own_args, own_kwargs), given)
        return out

    def _draw(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        """Draw as the work does; the numbers are an input of the graph, which nothing that it computes can change."""
        number = (kwargs.get("generator") or torch.default_generator).initial_seed() - _FIRST_SEED
        if not 0 <= number < len(self.generators):
            raise RuntimeError(f"{func} draws from a generator that is none of the step's")
        drawn = partial(_drawn, func, self.generators[number], kwargs)
        overwritten = args[0] if _written(func, args, kwargs) else None
        if overwritten is not None or func.overloadpacket.__name__.endswith("_like"):
            layout, args = _layout(args[0]), args[1:]  # its values do not matter
            draw = lambda: drawn(torch.empty_strided(**layout), *args)  # noqa: E731
        else:
            draw = partial(drawn, *args)
        for tensor in tree_iter((args, kwargs)):
            if isinstance(tensor, Tensor) and (tensor in self._nodes or _address(tensor) in self._before):
                raise RuntimeError(f"{func} draws by values that the step computes")
        value, node = draw(), self._placeholder(f"draw_{len(self._sources)}")
        self._sources[node] = draw
        if overwritten is None:
            self._nodes[value] = node
            return value
        self._graph.call_function(torch.ops.aten.copy_.default, (self._node(overwritten), node))
        self._keep(overwritten)
        return overwritten.copy_(value)

    def _node(self, tensor: Tensor) -> fx.Node:
        """Return the node of a tensor; one that the work did not make is an input of the graph."""
        if tensor in self._nodes:
            return self._nodes[tensor]
        place = _place(tensor)
        if place not in self._outside:
            own = tensor.detach()
            self._memory[_address(own)] = own.untyped_storage()
            node = self._placeholder(f"outside_{len(self._outside)}")
            self._outside[place], self._sources[node] = (own, node), lambda: own
        return self._outside[place][1]

    def _placeholder(self, name: str) -> fx.Node:
        with self._graph.inserting_before(self._first):  # in the order of their first use: that of the draws
            return self._graph.placeholder(name)

    def _keep(self, tensor: Tensor) -> None:
        """Keep what is in memory from outside before it is written to for the first time."""
        address = _address(tensor)
        if address in self._memory and address not in self._before:
            self._before[address] = self._memory[address].clone()

    def _note(self, out: Any, node: fx.Node, given: set[int]) -> None:
        """Note the node of each new tensor; an operation in place returns one that it was given."""
        if isinstance(out, Tensor):
            if id(out) not in given:
                self._nodes[out] = node
        elif isinstance(out, (tuple, list)):
            for index, one in enumerate(out):
                self._note(one, self._graph.call_function(operator.getitem, (node, index)), given)

    def _check_memory(self) -> None:
        """Raise RuntimeError if something is written to memory that two different tensors from outside have."""
        seen: set[int] = set()
        for tensor, _ in self._outside.values():
            address = _address(tensor)
            if address in self._before and address in seen:
                raise RuntimeError(f"a tensor of shape {tuple(tensor.shape)} is a part of another that is written to")
            seen.add(address)


def _drawn(func: Any, generator: torch.Generator, named: dict[str, Any], *args: Any) -> Tensor:
    """Draw from a generator, also by an operation that takes none, such as `randperm`."""
    if any(argument.name == "generator" for argument in func._schema.arguments):
        return func(*args, **{**named, "generator": generator})
    with drawing_from(generator, generator.device):
        return func(*args, **named)


def _written(func: Any, args: Any, kwargs: Any) -> list[Tensor]:
    """Return the tensors to which an operation writes."""
    formal = func._schema.arguments
    given = {argument.name: value for argument, value in zip(formal, args, strict=False)} | kwargs
    written = [given.get(a.name) for a in formal if a.alias_info is not None and a.alias_info.is_write]
    return [leaf for leaf in tree_iter(written) if isinstance(leaf, Tensor)]


def _same(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one.nan_to_num(0.5), other.nan_to_num(0.5))


def _place(tensor: Tensor) -> Hashable:
    return tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype, tensor.device


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _layout(tensor: Tensor) -> dict[str, Any]:
    return {"size": tensor.shape, "stride": tensor.stride(), "dtype": tensor.dtype, "device": tensor.device}
