"""Layers: the weights of a body whose applications are counted, and how many of them follow one another."""

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from torch import nn

from onward.core.graph import below

_TABLES = ("Embedding", "Index", "Gather")
_JOINED = ("AddBackward", "SubBackward", "CatBackward", "StackBackward")
"""How the names of operations begin that give learned inputs of data: rows of a table, and what is put beside data."""


def layer_weights(body: nn.Module) -> dict[int, Hashable]:
    """Return the weights of a body's layers, by identity, each with its layer.

    They are parameters of two or more dimensions, and of more than one row and column unless called `weight`. Those of
    a recurrent layer, which are applied in every step, are one layer.
    """
    layers: dict[int, Hashable] = {}
    for module in body.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.ndim > 1 and (name == "weight" or sum(size > 1 for size in parameter.shape) > 1):
                layers[id(parameter)] = _layer(module, name) or id(parameter)
    return layers


def _layer(module: nn.Module, name: str) -> Hashable:
    if isinstance(module, nn.RNNBase):
        return "recurrent", id(module), name.partition("_l")[2].partition("_")[0]
    return ("recurrent", id(module)) if isinstance(module, nn.RNNCellBase) else None


def layers_in_series(root: Any, weights: Mapping[int, Hashable]) -> int:
    """Return the largest number of applications of these weights on one path through a graph.

    Data have to have a gradient in the graph. What is computed from parameters alone, a weight that is transposed,
    cast, masked or divided by its norm, is a weight. Applied to data, it comes after all weights on the paths of these;
    a recurrent layer comes once. Rows of a table, and what is added or joined to data, are learned inputs and no
    layers.
    """
    length: dict[Any, int] = {}
    alone: dict[Any, frozenset[Hashable] | None] = {}  # the layers of a weight; None: data
    recurrent: dict[Any, frozenset[Hashable]] = {}
    for node in below(root):
        if hasattr(node, "variable"):
            key, given = id(node.variable), isinstance(node.variable, nn.Parameter)
            own = frozenset([weights[key]] if key in weights else [])
            length[node], alone[node], recurrent[node] = 0, own if given else None, frozenset()
            continue
        inputs = [before for before, _ in node.next_functions if before is not None]
        passed = frozenset().union(*(recurrent[before] for before in inputs))
        new = frozenset().union(*(alone[before] or () for before in inputs)) - passed
        pure = all(alone[before] is not None for before in inputs)
        applied = bool(new) and not pure and not node.name().startswith(_JOINED)
        alone[node] = new if pure and not node.name().startswith(_TABLES) else None
        length[node] = max((length[before] for before in inputs), default=0) + applied
        recurrent[node] = passed | {layer for layer in new if applied and isinstance(layer, tuple)}
    return length.get(root, 0)


def weights_below(root: Any) -> Iterator[Any]:
    """Yield the parameters in the graph behind a node."""
    return (node.variable for node in below(root) if hasattr(node, "variable"))
