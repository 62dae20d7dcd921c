"""Cuts: the places where a module may be cut, activities through which every path from input to output passes."""
# B batch

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.parametrize import ParametrizationList

from onward.core.graph import below
from onward.nets.layout import Layout, features_of, infer_layout
from onward.nets.recorded_pass import Call, Feed, Pass, feed_module, watch

_MOST = 16  # blocks by default


class NoPathError(ValueError):
    """The autograd graph of a model does not lead from its inputs to its output."""


class Cut(NamedTuple):
    """A place where a module may be cut: the output of one of its modules."""

    name: str
    """The module's name, as in `named_modules`."""
    shape: tuple[int, ...]
    """Shape of its activity for the example."""
    layout: Layout
    weights: int
    """Number of values in the weights between the previous cut and this one."""
    matrices: int
    """Number of weights of two or more dimensions among them, without tables of embeddings."""


def cuts(model: nn.Module, example: Any, blocks: int | None = None, *, feed: Feed = feed_module) -> list[Cut]:
    """Return the places where a module may be cut, in the order of its forward pass.

    They are found in the autograd graph of one pass over `example`: nodes on every path from input to output that are
    the output of a module called once, with a weight matrix between every two; a table of embeddings does not count.
    `blocks`: return the `blocks - 1` places that divide the weights most evenly. Raises ValueError if there are not
    that many, or none at all.
    """
    spots, tail, _ = _spots(watch(model, example, feed, all_trained=True), type(model).__name__)
    if blocks is None:
        return spots
    if not 1 <= blocks <= len(spots) + 1:
        names = ", ".join(spot.name for spot in spots)
        raise ValueError(
            f"{blocks} blocks are asked for, but the model can be cut into 1 to {len(spots) + 1} ({names})"
        )
    return balanced(spots, tail.weights, blocks)


def default_cuts(model: nn.Module, example: Any, *, feed: Feed = feed_module) -> list[Cut]:
    """Return the default cuts: between whole layers of a network, at most 15.

    In a sequence of layers of one kind, cuts are at their ends alone, not inside them. If most blocks have three weight
    matrices or more, a block with a single matrix, such as a stem or a patch embedding, joins the next one. A single
    matrix at the end, the output head, joins the last block.
    """
    seen = watch(model, example, feed, all_trained=True)
    spots, tail, ends = _spots(seen, type(model).__name__)
    spots = list(_outermost(spots, ends, seen.calls))
    if len(spots) > 1 and statistics.median(spot.matrices for spot in spots) >= 3:
        spots = list(_joined(spots))
    if len(spots) > 1 and tail.matrices < 2:
        last = spots.pop()
        tail = Cut("", (), "vector", tail.weights + last.weights, tail.matrices + last.matrices)
    return spots if len(spots) < _MOST else balanced(spots, tail.weights, _MOST)


def balanced(spots: Sequence[Cut], tail: int, blocks: int) -> list[Cut]:
    """Return the `blocks - 1` spots with the least sum of squares of the blocks' numbers of weights."""
    sums = [0]
    for weights in [*(spot.weights for spot in spots), tail]:
        sums.append(sums[-1] + weights)
    count = len(sums) - 1
    best: list[dict[int, tuple[int, tuple[int, ...]]]] = [{0: (0, ())}]
    for _ in range(blocks):
        row: dict[int, tuple[int, tuple[int, ...]]] = {}
        for end in range(1, count + 1):
            options = [
                (cost + (sums[end] - sums[start]) ** 2, (*ends, end))
                for start, (cost, ends) in best[-1].items()
                if start < end
            ]
            if options:
                row[end] = min(options)
        best.append(row)
    ends = best[-1][count][1][:-1]
    chosen, start = [], 0
    for end in ends:
        inside = spots[start:end]
        weights, matrices = sum(s.weights for s in inside), sum(s.matrices for s in inside)
        chosen.append(inside[-1]._replace(weights=weights, matrices=matrices))
        start = end
    return chosen


def _outermost(spots: list[Cut], ends: dict[Any, str], calls: list[Call]) -> Iterator[Cut]:
    """Yield the spots that are not inside a layer: a module that ends at a later spot and has siblings of its type.

    A module that contains layers itself, a stage, is none.
    """
    node_of = {call.name: call.nodes[0] for call in calls if call.nodes}
    kinds: dict[tuple[str, type], list[str]] = {}
    for call in calls:
        whole = any(p.ndim > 1 for p in call.module.parameters()) and any(True for _ in call.module.children())
        if whole and call.nodes and call.nodes[0] in ends:
            kinds.setdefault((call.name.rpartition(".")[0], type(call.module)), []).append(call.name)
    groups = {parent: names for (parent, kind), names in kinds.items() if len(names) > 1 and kind is not nn.Sequential}
    layers = {name for names in groups.values() for name in names}
    layers = {name for name in layers if not any(f"{parent}.".startswith(f"{name}.") for parent in groups)}
    weights = matrices = 0
    for spot in spots:
        parts = spot.name.split(".")
        around = {".".join(parts[:k]) for k in range(1, len(parts))} & layers
        weights, matrices = weights + spot.weights, matrices + spot.matrices
        if any(ends[node_of[name]] != spot.name for name in around):
            continue
        yield spot._replace(weights=weights, matrices=matrices)
        weights = matrices = 0


def _joined(spots: list[Cut]) -> Iterator[Cut]:
    weights = matrices = 0
    for spot in spots:
        weights, matrices = weights + spot.weights, matrices + spot.matrices
        if matrices > 1 or spot is spots[-1]:
            yield spot._replace(weights=weights, matrices=matrices)
            weights = matrices = 0


def _spots(seen: Pass, what: str) -> tuple[list[Cut], Cut, dict[Any, str]]:
    """Return all spots, the rest after the last one, and by node the name of its spot."""
    waists = _waists(seen.output.grad_fn, seen.sources)
    if not waists:
        raise _no_path(seen, what)
    named = _names(seen.calls, {node: position for position, node in enumerate(below(seen.output.grad_fn))})
    spots: list[Cut] = []
    ends: dict[Any, str] = {}
    known: set[Any] = set()
    modules = [call.module for call in seen.calls]
    tables = {id(p) for module in modules if isinstance(module, nn.Embedding) for p in module.parameters()}
    matrix_ids = {id(p) for p in _matrices(modules)} - tables
    weights = matrices = 0
    for node in waists:
        leaves = [leaf.variable for leaf in _new_leaves(node, known)]
        weights += sum(p.numel() for p in leaves if isinstance(p, nn.Parameter))
        matrices += sum(id(p) in matrix_ids for p in leaves)
        if node is seen.output.grad_fn:
            break
        spot = _spot(named.get(node), seen, weights, matrices)
        if spot is None:
            continue
        if matrices == 0 and spots:  # no matrix since the last spot: the later one replaces it
            if _flattens(spots[-1], spot) or _inside(spots[-1], spot):
                spot = spots[-1]
            spot = spot._replace(weights=spots[-1].weights + weights, matrices=spots[-1].matrices)
            ends = {at: spot.name if name == spots[-1].name else name for at, name in ends.items()}
            spots[-1] = spot
        elif matrices:
            spots.append(spot)
        if spots:
            ends[node] = spot.name
            weights = matrices = 0
    return *_with_a_matrix_behind(spots, Cut("", (), "vector", weights, matrices)), ends


def _matrices(modules: Iterable[nn.Module]) -> Iterator[nn.Parameter]:
    """Yield the weights that make a layer: neither embedding tables, nor learned tokens, nor lengths of a weight norm.

    Tokens and lengths have a single row or column, but so has a linear layer with one output or input.
    """
    for module in {id(each): each for called in modules for each in called.modules()}.values():
        own = dict(module.named_parameters(recurse=False))
        if isinstance(module, ParametrizationList):  # original0, original1, ...: one weight in parts
            yield from sorted(own.values(), key=torch.numel)[-1:]
        else:
            names = {"weight"} if isinstance(module, nn.Linear | _ConvNd) else set()
            yield from (p for name, p in own.items() if name in names or (p.squeeze().ndim > 1 and len(p) > 1))


def _no_path(seen: Pass, what: str) -> ValueError:
    """Return the error for a model whose autograd graph does not lead from its inputs to its output."""
    if seen.output.grad_fn is None and seen.others:
        return ValueError(
            f"the first tensor of the output of {what}, {list(seen.output.shape)}, has no gradient, and another "
            "one has: pick out the scores with feed=lambda model, inputs: ..."
        )
    return NoPathError(
        f"no path leads from the inputs of {what} to its output in the autograd graph (is a part computed under "
        "no_grad, or detached?)"
    )


def _inside(before: Cut, after: Cut) -> bool:
    """Whether a later place is deeper in the model: the beginning of a layer cannot replace the layer before it."""
    return after.name.count(".") > before.name.count(".")


def _flattens(before: Cut, after: Cut) -> bool:
    """Whether a later place has the values of an earlier one, flattened.

    A read-out of a map is small, that of a long vector is not.
    """
    return after.layout == "vector" != before.layout and math.prod(after.shape) == math.prod(before.shape)


def _with_a_matrix_behind(spots: list[Cut], tail: Cut) -> tuple[list[Cut], Cut]:
    if spots and tail.matrices == 0:
        last = spots.pop()
        tail = tail._replace(weights=tail.weights + last.weights, matrices=last.matrices)
    return spots, tail


def _spot(index: int | None, seen: Pass, weights: int, matrices: int) -> Cut | None:
    if index is None:
        return None
    call = seen.calls[index]
    if not call.activity.is_floating_point():
        return None
    shape = tuple(call.activity.shape)
    try:
        layout = infer_layout(shape, seen.rows, seen.calls[: index + 1], call.name)
    except ValueError:
        return None
    return Cut(call.name, shape, layout, weights, matrices) if features_of(shape, layout) else None


def _names(calls: list[Call], order: dict[Any, int]) -> dict[Any, int]:
    """Return, by node, the call that names it: of the outermost module called once and watched; the last if several.

    A module that also returns something computed later, such as a pooled output, does not end there.
    """
    times: dict[str, int] = {}
    for call in calls:
        times[call.name] = times.get(call.name, 0) + 1
    names: dict[Any, int] = {}
    for index, call in enumerate(calls):
        if not call.name or times[call.name] > 1 or not call.watched or not call.nodes:
            continue
        if any(order.get(node, -1) > order.get(call.nodes[0], -1) for node in call.nodes[1:]):
            continue
        before = names.get(call.nodes[0])
        if before is None or call.name.count(".") <= calls[before].name.count("."):
            names[call.nodes[0]] = index
    return names


def _waists(root: Any, sources: frozenset[Any]) -> list[Any]:
    """Return the nodes on every path from the root to a source, beginning at the source.

    A node is on every path if as many paths pass through it as there are.
    """
    order = list(below(root))
    ways: dict[Any, int] = {}
    for node in order:  # each after the nodes that it was computed from
        inputs = [before for before, _ in node.next_functions if before is not None]
        ways[node] = 1 if node in sources else sum(ways[before] for before in inputs)
    if not order or not ways[root]:
        return []
    arrived = dict.fromkeys(order, 0) | {root: 1}
    for node in reversed(order):
        if node in sources:
            continue
        for before, _ in node.next_functions:
            if before is not None and ways[before]:
                arrived[before] += arrived[node]
    return [node for node in order if ways[node] and ways[node] * arrived[node] == ways[root]]


def _new_leaves(root: Any, known: set[Any]) -> list[Any]:
    """Return the leaves behind a node that are not in `known`; adds all nodes behind it to `known`."""
    nodes = [node for node in below(root, known)]
    known.update(nodes)
    return [node for node in nodes if hasattr(node, "variable")]
