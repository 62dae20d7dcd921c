"""A model and its training step as plain loops over named arrays, from which C and JavaScript are written."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.export.graph_signature import InputKind
from torch.fx import GraphModule, Node

from onward.export.decompositions import decompositions
from onward.export.draws import Draw
from onward.export.gathering import ALL_OPERATORS
from onward.export.loops import Dialect, Writer, write_graph
from onward.export.program import Model, quiet, tensor_of, trace
from onward.export.step import Learning, Step, trace_step
from onward.export.values import Arena, Index, Statement, Value, held, linear, plus


@dataclass
class Routine:
    """The statements of a function and the memory that its temporary arrays share."""

    statements: list[Statement]
    arena: Arena


@dataclass
class Plain:
    """A model as loops: `weights` change in training, `moments` are the optimizer's state, `fixed` never change.

    Every array has a short name; `names` gives the full name of its content.
    """

    model: Model
    scores: Routine
    step: Routine | None = None
    learning: Learning | None = None
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    moments: dict[str, int] = field(default_factory=dict)
    fixed: dict[str, np.ndarray] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    blocks: int = 0
    """Number of blocks whose scores are further outputs."""
    draws: bool = False
    """Whether a step draws the units that dropout keeps."""

    @property
    def working(self) -> int:
        """Size of the working memory, in numbers of four bytes: that of the larger of the two functions."""
        return max(self.scores.arena.size, self.step.arena.size if self.step else 0)

    @property
    def image_size(self) -> int:
        return math.prod(self.model.spec.shape)


def plain(model: Model, dialect: Dialect, learning: Learning | None = None, *, blocks: bool = False) -> Plain:
    """Write a model's scores of one image, and with `learning` its training step, as loops.

    `blocks`: the scores of every block too. Raises ValueError naming an unsupported operator.
    """
    step = None if learning is None else trace_step(model, learning)
    result = Plain(model, Routine([], Arena()), learning=learning)
    if step is not None:
        _name_state(result, step)
    result.scores = _scores(result, dialect, blocks)
    if step is not None:
        result.step, result.draws = _step(result, step, dialect), bool(step.draws)
    return result


def _name_state(result: Plain, step: Step) -> None:
    """Name the arrays that change: weights, which have initial values, and moments, which begin at zero."""
    for name, value in step.state.items():
        if not value.numel():
            continue
        if any(name.startswith(f"{kept}.") for kept in step.learning.kept):
            short = f"m{len(result.moments)}"
            result.moments[short] = value.numel()
        else:
            short = f"w{len(result.weights)}"
            result.weights[short] = _numbers(value)
        result.names[short] = name


def _numbers(value: Tensor) -> np.ndarray:
    return value.detach().to("cpu", torch.float32).contiguous().numpy().ravel()


def _scores(result: Plain, dialect: Dialect, blocks: bool) -> Routine:
    with quiet():
        program = trace(result.model, batch=1, blocks=blocks).run_decompositions(decompositions())
    changing = {name: short for short, name in result.names.items()}
    inputs: dict[Node, Value] = {}
    nodes = {node.name: node for node in program.graph.nodes}
    for spec in program.graph_signature.input_specs:
        node = nodes[spec.arg.name]
        shape, target = tuple(node.meta["val"].shape), str(spec.target).removeprefix("learner." if blocks else "")
        if spec.kind == InputKind.USER_INPUT:
            inputs[node] = held("image", shape)
        elif target in changing:
            inputs[node] = held(changing[target], shape)
        elif node.users:
            inputs[node] = _fix(result, tensor_of(program, spec.target), str(spec.target))
        else:
            inputs[node] = held("nothing", shape)
    (output,) = (node for node in program.graph.nodes if node.op == "output")
    outputs = {
        node: held(name, node.meta["val"].shape)
        for name, node in zip(("scores", "blocks"), output.args[0], strict=False)
    }
    if blocks:
        result.blocks = outputs[output.args[0][1]].shape[0]
    writer = Writer(dialect)
    write_graph(program.graph, inputs, outputs, ALL_OPERATORS, writer)
    return Routine(writer.statements, writer.arena())


def _fix(result: Plain, value: Tensor, name: str) -> Value:
    short = f"c{len(result.fixed)}"
    result.fixed[short] = _numbers(value)
    result.names[short] = name
    return held(short, value.shape)


def _step(result: Plain, step: Step, dialect: Dialect) -> Routine:
    graph, changing = step.graph.graph, {name: short for short, name in result.names.items()}
    placeholders = [node for node in graph.nodes if node.op == "placeholder"]
    arrays = [changing.get(name, "nothing") for name in step.state] + ["images", "labels", "step", "rate"]
    inputs = {n: held(a, n.meta["val"].shape) for n, a in zip(placeholders, arrays, strict=False)}
    inputs |= dict(zip(placeholders[len(arrays) :], _kept(step.draws), strict=True))
    inputs |= _constants(result, step.graph)
    (output,) = (node for node in graph.nodes if node.op == "output")
    outputs, writer = {}, Writer(dialect)
    results = [_source(result_node) for result_node in output.args[0]]
    for number, result_node in enumerate(results):
        if number < len(step.state):
            name = arrays[number]
            if name == "nothing" or result_node is placeholders[number]:
                continue
            target = held(name, result_node.meta["val"].shape)
        else:
            target = held(f"loss{number - len(step.state)}", ())
        assert result_node not in outputs, "two results of one value"
        outputs[result_node] = target
    write_graph(graph, inputs, outputs, ALL_OPERATORS, writer)
    return Routine(writer.statements, writer.arena())


def _kept(draws: tuple[Draw, ...]) -> list[Value]:
    """Return the units that dropout keeps, computed where they are read, without an array."""
    values, first = [], 0
    for draw in draws:
        values.append(Value(draw.shape, _is_kept(draw, first), cheap=True))
        first += values[-1].size
    return values


def _is_kept(draw: Draw, first: int) -> Callable[[Index], str]:
    return lambda index: f"KEPT({plus(linear(index, draw.shape), first)}, {draw.least})"


def losses_of(step: Routine) -> list[str]:
    """Return the names of the losses that a step writes, in the order of its spans."""
    names = {name for statement in step.statements for name in statement.writes if name.startswith("loss")}
    return sorted(names, key=lambda name: int(name.removeprefix("loss")))


def _source(node: Node) -> Node:
    """Return the node that computed a value, past nodes that only copy it: its result can be written in place."""
    while node.op == "call_function" and str(node.target) in ("aten.detach.default", "aten.alias.default"):
        node = node.args[0]  # pyright: ignore[reportAssignmentType]
    return node


def _constants(result: Plain, graph: GraphModule) -> dict[Node, Value]:
    """Name the constants of the trace."""
    nodes = [node for node in graph.graph.nodes if node.op == "get_attr"]
    return {node: _fix(result, getattr(graph, str(node.target)), f"constant {node.target}") for node in nodes}
