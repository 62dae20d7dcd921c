"""Which axis of an activity holds its features, by the autograd graph: sizes cannot tell equal axes apart."""

from collections import deque
from typing import Any

_LAST = ("Addmm", "Mm", "Linear", "NativeLayerNorm", "Embedding", "MkldnnRnnLayer", "CudnnRnn")
"""Operations whose result has its features on the last axis."""
_SECOND = ("Convolution", "NativeGroupNorm", "AvgPool", "MaxPool", "AdaptiveAvgPool", "AdaptiveMaxPool", "Upsample")
"""Operations whose result has them on axis 1. Batch norm is none: tokens are normalized by it too."""
_KEEP_AXES = ("Cat", "Slice", "ConstantPadNd", "Expand", "Index", "Roll")
"""Operations that change the length of axes, but not their order."""
_NODES = 2000

Axes = tuple[int | None, ...]
"""For each axis of a tensor inside the graph, which one of the activity it is; None: no single one."""


def feature_axis(node: Any, axes: int) -> int | None:
    """Return the axis of features of what a node of the graph gave, a tensor of so many axes.

    None if none is found, as where the activity is no longer what the node gave.

    Followed back from there through transposes, reshapes and sums, it is the axis that the nearest layer made.
    """
    if len(_shape(node) or ()) != axes:
        return None
    waiting: deque[tuple[Any, Axes]] = deque([(node, tuple(range(axes)))])
    seen: set[Any] = set()
    while waiting and len(seen) < _NODES:
        node, names = waiting.popleft()
        if node is None or node in seen or _shape(node) is None:
            continue
        seen.add(node)
        made = _made(_kind(node), names)
        if made is not None:
            return made
        waiting.extend(_before(node, names))
    return None


def _kind(node: Any) -> str:
    return node.name().rpartition("Backward")[0].rpartition("::")[2]


def _shape(node: Any) -> tuple[int, ...] | None:
    """Return the shape of what a node gave; None where this torch does not keep it."""
    held = getattr(node, "_input_metadata", None)
    return tuple(held[0].shape) if held else None


def _made(kind: str, names: Axes) -> int | None:
    if kind in _LAST and names:
        return names[-1]
    return names[1] if kind.startswith(_SECOND) and len(names) > 2 else None


def _before(node: Any, names: Axes) -> list[tuple[Any, Axes]]:
    """Return the nodes that a tensor was computed from, each with the names of its axes, as far as they are known."""
    kind, shape, given = _kind(node), _shape(node), [before for before, _ in node.next_functions if before is not None]
    if kind == "Permute":
        return [
            (before, _permuted(names, [d % len(names) for d in map(_signed, node._saved_dims)])) for before in given
        ]
    if kind in ("Transpose", "T"):
        first, second = (_signed(node._saved_dim0), _signed(node._saved_dim1)) if kind == "Transpose" else (0, 1)
        order = list(range(len(names)))
        order[first], order[second] = order[second], order[first]
        return [(before, _permuted(names, order)) for before in given]
    if kind in ("Stack", "Unsqueeze"):
        at = _signed(node._saved_dim) % len(names)
        return [(before, names[:at] + names[at + 1 :]) for before in given]
    if kind in ("View", "UnsafeView", "ReshapeAlias", "Squeeze"):
        return [(before, _reshaped(names, shape or (), tuple(node._saved_self_sym_sizes))) for before in given]
    kept = [before for before in given if _shape(before) == shape]
    if kind in _KEEP_AXES:
        kept = [before for before in given if len(_shape(before) or ()) == len(names)]
    return [(before, names) for before in kept]


def _signed(dim: int) -> int:
    return dim - 2**64 if dim >= 2**63 else dim  # a negative one is kept as an unsigned number


def _permuted(names: Axes, order: list[int]) -> Axes:
    before: list[int | None] = [None] * len(names)
    for at, source in enumerate(order):
        before[source] = names[at]
    return tuple(before)


def _reshaped(names: Axes, shape: tuple[int, ...], before: tuple[int, ...]) -> Axes:
    """Return the names of the axes before a reshape: one survives if its length and stride are the same."""
    strides = {(size, stride): name for size, stride, name in zip(shape, _strides(shape), names, strict=True)}
    return tuple(strides.get(axis) for axis in zip(before, _strides(before), strict=True))


def _strides(shape: tuple[int, ...]) -> list[int]:
    strides = [1]
    for size in reversed(shape[1:]):
        strides.insert(0, strides[0] * size)
    return strides
