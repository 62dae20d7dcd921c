"""Outputs of modules in any form: their main tensor, all tensors in them, and the replacement of one."""
# B batch, D features, N steps of all sequences, T tokens

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

_NAMES = ("logits", "last_hidden_state")


class Activity(NamedTuple):
    """The part of an output that is read: a tensor and, for packed sequences, the mask of its valid tokens."""

    tensor: Tensor
    mask: Tensor | None = None


def leading_tensor(output: Any) -> Tensor | None:
    """Return the main tensor of an output: itself, its `logits`, or the first tensor of floats inside it."""
    if isinstance(output, Tensor):
        return output
    for name in _NAMES:
        if isinstance(getattr(output, name, None), Tensor):
            return getattr(output, name)
    tensors = [tensor for tensor in map(leading_tensor, _parts(output)) if tensor is not None]
    return next((tensor for tensor in tensors if tensor.is_floating_point()), tensors[0] if tensors else None)


def tensors_in(tree: Any) -> list[Tensor]:
    """Return the tensors of nested tuples, lists, dicts and dataclasses, in order."""
    if isinstance(tree, Tensor):
        return [tree]
    return [tensor for part in _parts(tree) for tensor in tensors_in(part)]


def lengths_in(tree: Any) -> list[int]:
    """Return the number of rows of each tensor of a batch; packed sequences count as one tensor each."""
    if isinstance(tree, PackedSequence):
        return [int(tree.batch_sizes[0])]
    if isinstance(tree, Tensor):
        return [len(tree)] if tree.ndim else []
    return [length for part in _parts(tree) for length in lengths_in(part)]


def read(output: Any) -> Activity | None:
    """Return the part of an output that is read: its main tensor, packed sequences [N, D] as tokens [B, T, D]."""
    leading = leading_tensor(output)
    if leading is None:
        return None
    packed = next((part for part in _packed(output) if part.data is leading), None)
    if packed is None:
        return Activity(leading)
    padded, lengths = pad_packed_sequence(packed, batch_first=True)
    return Activity(padded, torch.arange(padded.shape[1])[None] < lengths[:, None])


def mapped(change: Callable[[Tensor], Tensor], tree: Any) -> Any:
    """Return nested tuples, lists, dicts and dataclasses with every tensor changed; other objects: their attributes."""
    if isinstance(tree, Tensor):
        return change(tree)
    if isinstance(tree, PackedSequence):
        return tree._replace(data=change(tree.data))
    if isinstance(tree, tuple | list):
        parts = [mapped(change, part) for part in tree]
        if all(new is old for new, old in zip(parts, tree, strict=True)):
            return tree
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    if not isinstance(tree, Mapping) and not tensors_in(tree) and leading_tensor(tree) is None:
        return tree
    changed: Any = copy.copy(tree)
    if isinstance(tree, Mapping):  # those of transformers have their entries as attributes too, and keep both equal
        for key, part in tree.items():
            changed[key] = mapped(change, part)
        return changed
    names = [field.name for field in fields(tree)] if is_dataclass(tree) else [*vars(tree)]
    for name in names:
        object.__setattr__(changed, name, mapped(change, getattr(tree, name)))
    return changed


def exchanged(output: Any, new: Tensor) -> Any:
    """Return an output with its main tensor replaced."""
    leading = leading_tensor(output)
    return mapped(lambda tensor: new if tensor is leading else tensor, output)


def _parts(tree: Any) -> Iterator[Any]:
    if isinstance(tree, PackedSequence):
        yield tree.data
    elif isinstance(tree, Mapping):
        yield from tree.values()
    elif isinstance(tree, tuple | list):
        yield from tree
    elif is_dataclass(tree) and not isinstance(tree, type):
        yield from (getattr(tree, field.name) for field in fields(tree))


def _packed(tree: Any) -> Iterator[PackedSequence]:
    if isinstance(tree, PackedSequence):
        yield tree
        return
    for part in _parts(tree):
        yield from _packed(part)
