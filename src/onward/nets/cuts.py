"""Cuts: the places where a module may be cut, activities through which every path from input to output passes."""
# B batch

import math
import statistics
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from torch import nn

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
    """Of its activity, for the example."""
    layout: Layout
    weights: int
    """Values of the weights between the cut before and this one."""
    matrices: int
    """Weights of two or more dimensions among them, tables of embeddings not counted."""


def cuts(model: nn.Module, example: Any, blocks: int | None = None, *, feed: Feed = feed_module) -> list[Cut]:
    """Return the places where a module may be cut, in the order of its forward pass.

    They are read off the autograd graph of one pass over `example`: nodes on every path from input to output that are
    the output of a module called once, with a weight matrix between every two; a table of embeddings does not count.
    `blocks`: the `blocks - 1` places that share out the weights most evenly. Raises ValueError where there are not that
    many, or none is found.
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
    """Return the cuts that are made by default: whole layers of a network, at most 15.

    Of layers of one kind in a row, only their ends count, not what is cut inside them. Where most blocks have three
    weight matrices or more, one with a single matrix joins the block behind it: a stem, a patch embedding. A single
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
    """Return `blocks - 1` of the spots such that the squares of the blocks' weights have the least sum."""
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
    """Yield the spots that are not inside a layer: a module that ends at a later spot, beside others of its kind.

    A module that holds layers itself, a stage, does not count.
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
    """Return all spots, what is left behind the last one, and by node the spot that stands for it."""
    waists = _waists(seen.output.grad_fn, seen.sources)
    if not waists:
        if seen.output.grad_fn is None and seen.others:
            raise ValueError(
                f"the first tensor of the output of {what}, {list(seen.output.shape)}, has no gradient, and another "
                "one has: pick out the scores with feed=lambda model, inputs: ..."
            )
        raise NoPathError(
            f"no path leads from the inputs of {what} to its output in the autograd graph (is a part computed under "
            "no_grad, or detached?)"
        )
    named = _names(seen.calls, {node: position for position, node in enumerate(below(seen.output.grad_fn))})
    spots: list[Cut] = []
    ends: dict[Any, str] = {}
    known: set[Any] = set()
    tables = {id(p) for call in seen.calls if isinstance(call.module, nn.Embedding) for p in call.module.parameters()}
    weights = matrices = 0  # a table that is looked up is no matrix, nor is a token that is learned
    for node in waists:
        leaves = [leaf.variable for leaf in _new_leaves(node, known)]
        weights += sum(p.numel() for p in leaves if isinstance(p, nn.Parameter))
        matrices += sum(
            p.ndim > 1 and len(p) > 1 and id(p) not in tables for p in leaves if isinstance(p, nn.Parameter)
        )
        if node is seen.output.grad_fn:
            break
        spot = _spot(named.get(node), seen, weights, matrices)
        if spot is None:
            continue
        if matrices == 0 and spots:  # nothing was learned since the last one: the later place stands for both
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


def _inside(before: Cut, after: Cut) -> bool:
    """Whether a later place is deeper in the model: what a layer begins with stands for no layer before it."""
    return after.name.count(".") > before.name.count(".")


def _flattens(before: Cut, after: Cut) -> bool:
    """Whether a later place has the same values as an earlier one, without their places.

    What is read of a map is small, of a long vector it is not.
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
    """Return, by node, the call to name it after: the outermost module, the last of equals, called once, watched.

    A module that also gives what was computed later, such as a pooled output, does not end there.
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
    """Return the nodes that lie on every path from the root to a source, the source's end first.

    A node does so if the paths through it are as many as there are paths.
    """
    order = list(below(root))
    ways: dict[Any, int] = {}
    for node in order:  # each after those that it was computed from
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
    """Return the leaves behind a node that are not known yet; all its nodes are known afterwards."""
    nodes = [node for node in below(root, known)]
    known.update(nodes)
    return [node for node in nodes if hasattr(node, "variable")]
