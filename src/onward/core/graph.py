"""The graph of a computation that autograd has recorded."""

from collections.abc import Iterable, Iterator
from typing import Any


def below(root: Any, stop: Iterable[Any] = ()) -> Iterator[Any]:
    """Yield the nodes of a graph, each after those that it was computed from; do not go past those in `stop`."""
    seen, stack = set(stop), [(root, False)] if root is not None else []
    while stack:
        node, expanded = stack.pop()
        if expanded:
            yield node
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack += [(before, False) for before, _ in node.next_functions if before is not None]
