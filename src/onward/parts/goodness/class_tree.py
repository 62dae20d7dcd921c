"""Trees of classes: written as nested lists of class numbers, cut into levels, and made from vectors of the classes."""
# C classes, D features

import json
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Levels = tuple[tuple[int, ...], ...]
"""From coarse to fine, the superclass of each class; the last level separates all classes."""


def levels_of(tree: str, num_classes: int) -> Levels:
    """Cut a tree into its levels: the first one has the branches of the root, the next one their branches.

    A tree is nested lists of class numbers, such as "[[0, 8], [2, [3, 5]]]". A class at the end of a short branch is a
    superclass of its own in all further levels (HCL-FF, released code). The root, with all classes, is no level.
    Raises ValueError for any other text, a list of a single branch, and classes that are missing or occur twice.
    """
    try:
        root = json.loads(tree)
    except json.JSONDecodeError as error:
        raise ValueError(f"a tree is nested lists of class numbers, such as [[0, 1], [2, 3]], got {tree!r}") from error
    leaves = sorted(_members(root, tree))
    if leaves != list(range(num_classes)):
        wrong = sorted({label for label in leaves if leaves.count(label) > 1 or not 0 <= label < num_classes})
        missing = sorted(set(range(num_classes)) - set(leaves))
        raise ValueError(
            f"a tree of {num_classes} classes has each of 0 to {num_classes - 1} once; "
            f"missing: {missing}, foreign or twice: {wrong}"
        )
    return tuple(_level(_branches(root, depth, tree), num_classes) for depth in range(1, _depth(root) + 1))


def tree_of(vectors: Float[Tensor, "C D"]) -> str:
    """Return the tree of Ward's agglomerative clustering of one vector per class, at unit length.

    HCL-FF takes the rows of a linear classifier on a network that was trained without a tree (released code).
    Raises ValueError for fewer than two classes.
    """
    from sklearn.cluster import AgglomerativeClustering  # takes a second to import

    if len(vectors) < 2:
        raise ValueError(f"a tree needs at least 2 classes, got {len(vectors)}")
    unit = F.normalize(vectors.detach().double(), dim=1).cpu().numpy()
    merges = AgglomerativeClustering(n_clusters=1, linkage="ward").fit(unit).children_
    nodes: list[Any] = list(range(len(vectors)))
    for left, right in merges.tolist():
        nodes.append([nodes[left], nodes[right]])
    return json.dumps(nodes[-1])


def _members(node: Any, tree: str) -> list[int]:
    if type(node) is int:
        return [node]
    if not isinstance(node, list) or len(node) < 2:
        raise ValueError(
            f"every branch of a tree is a class number or a list of at least 2 branches; see {node} in {tree}"
        )
    return [label for child in node for label in _members(child, tree)]


def _depth(node: Any) -> int:
    return 1 + max(map(_depth, node)) if isinstance(node, list) else 0


def _branches(node: Any, depth: int, tree: str) -> list[list[int]]:
    """Return the classes of each branch when the tree is cut `depth` levels below a node."""
    if depth == 0 or not isinstance(node, list):
        return [_members(node, tree)]
    return [branch for child in node for branch in _branches(child, depth - 1, tree)]


def _level(branches: list[list[int]], num_classes: int) -> tuple[int, ...]:
    of = {label: number for number, branch in enumerate(branches) for label in branch}
    return tuple(of[label] for label in range(num_classes))
