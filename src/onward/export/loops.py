"""Loops: a traced program of fixed sizes becomes statements that are valid in C and in JavaScript."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.fx import Graph, Node

from onward.export.values import Arena, Index, Statement, Value, arrange, held, linear


@dataclass(frozen=True)
class Dialect:
    """Syntax that differs between the languages: the counter of a loop, a local number and a literal."""

    counter: str
    local: str
    literal: Callable[[float], str]


@dataclass
class Writer:
    """Turns the nodes of a program into statements. All numbers are stored as floats of four bytes.

    An elementwise result that is read once is computed where it is read; all others get an array in the arena.
    """

    dialect: Dialect
    statements: list[Statement] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    _lines: list[str] = field(default_factory=list)
    _counters: int = 0

    def number(self, value: float | bool | int) -> str:
        return self.dialect.literal(float(value))

    def temporary(self, shape: Sequence[int]) -> Value:
        name = f"t{len(self.sizes)}"
        value = held(name, shape)
        self.sizes[name] = value.size
        return value

    @contextmanager
    def statement(self, reads: frozenset[str], writes: str):
        """Collect the lines that are written inside the `with` as one statement."""
        assert not self._lines
        yield
        self.statements.append(Statement(self._lines, reads - {writes}, frozenset({writes})))
        self._lines = []

    def line(self, text: str) -> None:
        self._lines.append(text)

    @contextmanager
    def loops(self, shape: Sequence[int]):
        """Open a loop for every axis that is longer than 1; yield the index."""
        names, opened = [], 0
        for length in shape:
            if length == 1:
                names.append("0")
                continue
            name = f"i{self._counters}"
            self._counters += 1
            names.append(name)
            opened += 1
            self.line(f"for ({self.dialect.counter} {name} = 0; {name} < {length}; {name}++) {{")
        yield tuple(names)
        for _ in range(opened):
            self.line("}")
            self._counters -= 1

    def local(self, name: str, value: str) -> None:
        self.line(f"{self.dialect.local} {name} = {value};")

    def store(self, value: Value, into: Value | None = None, *, at: Callable[[Index], Index] | None = None) -> Value:
        """Write a value into an array, by default a new temporary one, and return the stored value."""
        target = self.temporary(value.shape) if into is None else into
        assert target.array is not None
        if into is not None and self._moves(value, target):
            value = self.store(value)
        with self.statement(value.reads, target.array), self.loops(value.shape) as index:
            offset = linear(index if at is None else at(index), target.shape)
            self.line(f"{target.array}[{offset}] = {value.at(index)};")
        return target

    def _moves(self, value: Value, target: Value) -> bool:
        """Whether an element of the target depends on another of its elements, which may be overwritten by then."""
        if target.array not in value.reads:
            return False
        index = tuple("0" if n == 1 else f"i{k}" for k, n in enumerate(value.shape))
        read = set(re.findall(rf"\b{target.array}\[([^\]]*)\]", value.at(index)))
        return read != {linear(index, target.shape)}

    def ready(self, value: Value) -> Value:
        """Return the value in a form that is cheap to read more than once."""
        return value if value.cheap else self.store(value)

    def solid(self, value: Value) -> Value:
        """Return the value as an array of its own shape."""
        return value if value.array is not None else self.store(value)

    def arena(self) -> Arena:
        return arrange(self.statements, self.sizes)


Operator = Callable[[Writer, Node, tuple[Any, ...], dict[str, Any]], Any]
"""Writes the computation of a node: takes its arguments, with values in place of nodes; returns its value or values."""


def write_graph(
    graph: Graph,
    inputs: Mapping[Node, Value],
    outputs: Mapping[Node, Value],
    operators: Mapping[str, Operator],
    writer: Writer,
) -> None:
    """Write all statements of a program; `outputs`: the arrays of its results, which may be those of inputs.

    Raises ValueError naming an unsupported operator.
    """
    graph.eliminate_dead_code(is_impure_node=lambda node: node.op in ("placeholder", "output"))
    order = {node: number for number, node in enumerate(graph.nodes)}
    values: dict[Node, Any] = dict(inputs)
    late: list[tuple[Node, Value]] = []
    read_until = _last_reads(graph, order)
    owners = {value.array: node for node, value in inputs.items()}
    for node in graph.nodes:
        if node.op == "call_function":
            values[node] = _call(writer, node, values, operators)
        if node not in outputs:
            if isinstance(values.get(node), Value) and not values[node].cheap and len(node.users) > 1:
                values[node] = writer.store(values[node])
            continue
        target = outputs[node]
        owner = owners.get(target.array)
        if owner is not None and read_until[owner] > order[node]:
            values[node] = writer.store(values[node])  # the content of the target is still needed
            late.append((node, target))
            continue
        _settle(writer, values, {node, owner}, target, order, order[node])
        values[node] = writer.store(values[node], target)
    for node, target in late:
        writer.store(values[node], target)


def _settle(
    writer: Writer,
    values: dict[Node, Any],
    spared: set[Node | None],
    target: Value,
    order: dict[Node, int],
    now: int,
) -> None:
    """Store values that are still to be read from an array before it is overwritten."""
    for other, value in values.items():
        waits = isinstance(value, Value) and target.array in value.reads and other not in spared
        if waits and any(order[user] > now for user in other.users):
            values[other] = writer.store(value)


def _last_reads(graph: Graph, order: dict[Node, int]) -> dict[Node, int]:
    return {
        node: max((order[user] for user in node.users if user.op != "output"), default=-1)
        for node in graph.nodes
        if node.op == "placeholder"
    }


def _call(writer: Writer, node: Node, values: Mapping[Node, Any], operators: Mapping[str, Operator]) -> Any:
    name = node.target.__name__ if not isinstance(node.target, str) else node.target
    if name not in operators:
        raise ValueError(
            f"the operator {name} cannot be written as plain loops: export this model with --format onnx or torch"
        )
    args = torch.fx.map_arg(node.args, lambda n: values[n])
    kwargs = torch.fx.map_arg(node.kwargs, lambda n: values[n])
    result = operators[name](writer, node, tuple(args), dict(kwargs))
    if isinstance(result, Value):
        wanted = tuple(node.meta["val"].shape)
        assert result.shape == wanted, f"{node}: {name} gave {result.shape}, not {wanted}"
    return result
