"""Batches: inputs of a module, and targets, in the forms of usual loaders."""
# B batch, C classes, T tokens

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from onward.core import IGNORED
from onward.core.gradients import ordinary
from onward.nets.layout import AXES, Layout, channels_first
from onward.nets.outputs import tensors_in
from onward.nets.recorded_pass import batch_rows

Task = Literal["classes", "tokens", "next_token", "pixels", "labels", "values"]
"""classes: one of them [B]; tokens, pixels: one per token [B, T] or pixel [B, H, W]; next_token: the following token;
labels: any number of them [B], [B, C], 0 or 1; values: numbers [B], [B, C]; both also at each place of a sequence or
map, in the form of the model's output."""

TASKS: tuple[Task, ...] = get_args(Task)
RANKS = {
    "classes": (2,),
    "labels": (2, 3, 4, 5),
    "values": (2, 3, 4, 5),
    "tokens": (3,),
    "next_token": (3,),
    "pixels": (4, 5),
}
"""Axes that the output of a model has for each task."""
_LABEL_NAMES = ("labels", "label", "targets", "target", "y")


class Batch(NamedTuple):
    """Inputs of a module, and the targets, if there are any."""

    inputs: Any
    target: Tensor | None


def as_batch(batch: Any) -> Batch:
    """Split a loader's batch: a pair (inputs, targets), (a, b, ..., targets), a dict with `labels`, or inputs alone.

    Several inputs without targets are ((a, b), None). Raises ValueError for anything else.
    """
    if isinstance(batch, Tensor):
        return Batch(batch, None)
    if isinstance(batch, Mapping):
        inputs = dict(batch)
        labels = [name for name in _LABEL_NAMES if name in inputs]
        if len(labels) > 1:
            raise ValueError(
                f"a batch has the entries {' and '.join(labels)}: keep the one that holds the targets, and give "
                "inputs of such names by position, ((a, b), targets)"
            )
        return Batch(inputs, _target(inputs.pop(labels[0])) if labels else None)
    if isinstance(batch, tuple | list) and len(batch) >= 2:
        *inputs, target = batch
        given = inputs[0] if len(inputs) == 1 else tuple(inputs)
        return Batch(given, None if target is None else _target(target))
    raise ValueError(
        f"a batch is a pair (inputs, targets), a dict of tensors with the entry labels, or a tensor; got {_said(batch)}"
    )


def batch_for(model: nn.Module, batch: Any) -> Batch:
    """Split a batch as `as_batch` does, with what a model of transformers makes of its labels: the decoder's inputs.

    They are the labels moved on by a token, as when the model is called with its labels to make its own loss.
    """
    inputs, target = as_batch(batch)
    make = getattr(model, "prepare_decoder_input_ids_from_labels", None)
    decodes = getattr(getattr(model, "config", None), "is_encoder_decoder", False)
    if make is None or not decodes or target is None or not isinstance(inputs, Mapping) or _decoded(inputs):
        return Batch(inputs, target)
    return Batch({**inputs, "decoder_input_ids": make(labels=target)}, target)


def check_not_copied(batch: Batch, inferred: Task | None, ignore_index: int) -> None:
    """Raise ValueError where task tokens was inferred and the labels are the batch's own: a model would copy them."""
    if inferred != "tokens" or _decoded(batch.inputs):
        return
    tokens, target = _tokens_of(batch.inputs), batch.target
    if tokens is None or target is None or tokens.shape != target.shape:
        return
    counted = target != ignore_index
    if counted.any() and torch.equal(tokens[counted], target[counted].to(tokens)):
        raise ValueError(
            "the labels are the batch's own tokens, which task 'tokens' would learn to copy: give task='next_token' "
            "for a model of the following token, or task='tokens' if each label is that of its own token"
        )


def _decoded(inputs: Any) -> bool:
    """Whether a batch has inputs of a decoder, whose output has the targets."""
    named = inputs if isinstance(inputs, Mapping) else {}
    return any(named.get(name) is not None for name in ("decoder_input_ids", "decoder_inputs_embeds"))


def batches_in(loader: Any) -> int | None:
    """Return how many batches a loader says that it has; None where it cannot, as over an IterableDataset.

    Raises ValueError for what cannot be iterated over.
    """
    if not hasattr(loader, "__iter__") and not hasattr(loader, "__getitem__"):
        raise ValueError(
            f"a loader gives batches when it is iterated over, such as a DataLoader or a list of pairs (inputs, "
            f"targets), got {type(loader).__name__}"
        )
    try:
        return len(loader)
    except (TypeError, NotImplementedError):  # a DataLoader has the method, and asks its dataset
        return None


def to_device(tree: Any, device: torch.device) -> Any:
    """Return inputs on a device, as tensors that a graph may hold."""
    if isinstance(tree, Tensor):
        return ordinary(tree).to(device)
    if isinstance(tree, Mapping):
        return {key: to_device(value, device) for key, value in tree.items()}
    if isinstance(tree, PackedSequence):
        return tree.to(device)  # pyright: ignore[reportArgumentType]
    if isinstance(tree, tuple | list):
        moved = [to_device(value, device) for value in tree]
        return type(tree)(*moved) if hasattr(tree, "_fields") else type(tree)(moved)
    return tree


def mask_of(inputs: Any) -> Tensor | None:
    """Return which tokens [B, T] of a batch count, by `attention_mask` or `key_padding_mask`; those of a decoder."""
    if not isinstance(inputs, Mapping):
        return None
    encoded = (("attention_mask", False), ("src_key_padding_mask", True), ("key_padding_mask", True))
    for name, inverted in (("decoder_attention_mask", False),) if _decoded(inputs) else encoded:
        mask = inputs.get(name)
        if isinstance(mask, Tensor) and mask.ndim == 2:
            return ~mask.bool() if inverted else mask.bool()
    return None


def check_target(
    target: Tensor | None, task: Task, outputs: int, inputs: Any, ignore_index: int, layout: Layout = "vector"
) -> Tensor:
    """Return targets as objectives take them. Raises ValueError with the value and the remedy.

    `layout` is that of the model's output; numbers and labels at each place come back with their features last, as
    floats, NaN at padding.
    """
    target = _given(target, task, inputs)
    rows = batch_rows(inputs, target)
    if task in ("labels", "values"):
        if layout != "vector":
            numbers = target if task == "values" else _as_labels(target, ignore_index)
            return _check_positions(numbers, rows, outputs, layout, mask_of(inputs))
        single = target.ndim == 1 and outputs == 1
        return _check_numbers(target.unsqueeze(1) if single else target, rows, outputs, binary=task == "labels")
    _check_whole(target, task)
    target = target.long()
    if len(target) != rows:
        raise ValueError(f"{len(target)} targets for {rows} rows of inputs")
    wanted = {"classes": 1, "tokens": 2, "next_token": 2, "pixels": 4 if len(AXES[layout]) == 5 else 3}[task]
    if target.ndim != wanted:
        hint = ""
        if target.ndim == wanted + 1:
            single = target.shape[1] == 1
            several = "; for one label per token give task='tokens'" if task == "classes" else ""
            hint = ": give targets[:, 0]" if single else several
            hint = ": from one-hot rows give targets.argmax(1)" if task == "classes" and _one_hot(target) else hint
        elif target.ndim == 1 and task == "pixels":
            hint = ": for one class per row let the model give [B, C], its output .flatten(1)"
        raise ValueError(f"targets of task {task} have {wanted} axes, got {list(target.shape)}{hint}")
    if task != "classes":
        target = torch.where(target == ignore_index, IGNORED, target)
        mask = mask_of(inputs)
        if mask is not None and mask.shape == target.shape:
            target = target.masked_fill(~mask.to(target.device), IGNORED)
        if task == "next_token":
            target = _following(target)
    counted = target[target != IGNORED] if task != "classes" else target
    if counted.numel() and not (int(counted.min()) >= 0 and int(counted.max()) < outputs):
        bad = int(counted.min()) if int(counted.min()) < 0 else int(counted.max())
        raise ValueError(f"target {bad} is no class of 0..{outputs - 1}: give class indices, and num_classes of them")
    return target


def _given(target: Tensor | None, task: Task, inputs: Any) -> Tensor:
    """Return the targets of a batch. Raises ValueError where there are none, or a single row."""
    if target is None and task == "next_token":
        target = _tokens_of(inputs)
    if target is None:
        raise ValueError(
            "the batch has no targets: give pairs (inputs, targets), a loader of one is [(inputs, targets)], or a dict "
            "with the entry labels"
        )
    if not target.ndim:
        raise ValueError(
            "this is a single row, and a batch has several: give what joins them, DataLoader(dataset, batch_size=32)"
        )
    if not len(target):
        raise ValueError("the batch is empty: give one row or more")
    return target


def _check_whole(target: Tensor, task: Task) -> None:
    """Raise ValueError for targets that are no whole numbers, with what turns them into some."""
    if not (target.is_floating_point() or target.is_complex() or target.dtype == torch.bool):
        return
    if task == "classes" and target.dtype == torch.bool:
        raise ValueError("targets of task classes are whole numbers, got torch.bool: give targets.long()")
    hint = "from one-hot rows give targets.argmax(1); " if task == "classes" and _one_hot(target) else ""
    raise ValueError(
        f"targets of task {task} are whole numbers, got {target.dtype}: {hint}for numbers give task='values', for "
        "several labels at once task='labels'"
    )


def _one_hot(target: Tensor) -> bool:
    return target.ndim == 2 and target.shape[1] > 1 and bool((target.ne(0).sum(1) == 1).all())


def _following(target: Tensor) -> Tensor:
    """Return for each token the one behind it; the last one has none."""
    return torch.cat([target[:, 1:], target.new_full((len(target), 1), IGNORED)], dim=1)


def _tokens_of(inputs: Any) -> Tensor | None:
    if isinstance(inputs, Mapping):
        return inputs.get("input_ids")
    tensors = tensors_in(inputs)
    return tensors[0] if tensors and not tensors[0].is_floating_point() else None


def _check_numbers(target: Tensor, rows: int, outputs: int, *, binary: bool) -> Tensor:
    if tuple(target.shape) != (rows, outputs):
        raise ValueError(f"targets must be [{rows}, {outputs}], as the model's output is, got {list(target.shape)}")
    target = target if target.is_floating_point() else target.float()
    if not target.isfinite().all():
        raise ValueError("targets are not finite: leave out rows that have none")
    return _as_labels(target) if binary else target


def _as_labels(target: Tensor, ignore_index: int | None = None) -> Tensor:
    """Return labels as floats, NaN where they are ignored."""
    ignored = target.isnan() if ignore_index is None else target.isnan() | (target == ignore_index)
    if not ((target == 0) | (target == 1) | ignored).all():
        raise ValueError("targets of task labels are 0 or 1; for other numbers give task='values'")
    return (target if target.is_floating_point() else target.float()).masked_fill(ignored, torch.nan)


def _check_positions(target: Tensor, rows: int, outputs: int, layout: Layout, mask: Tensor | None) -> Tensor:
    example = target.unsqueeze(1) if outputs == 1 and target.ndim == len(AXES[layout]) - 1 else target
    fits = example.ndim == len(AXES[layout])
    seen = channels_first(example, layout) if fits else example
    if not fits or len(seen) != rows or seen.shape[1] != outputs:
        form = ", ".join({"B": str(rows), "D": str(outputs)}.get(axis, axis) for axis in AXES[layout])
        raise ValueError(f"targets must be [{form}], as the model's output is, got {list(target.shape)}")
    features = (seen if seen.is_floating_point() else seen.float()).movedim(1, -1)
    if features.isinf().any():
        raise ValueError("targets are not finite: give NaN where there is none")
    if mask is not None and mask.shape == features.shape[:2] and features.ndim == 3:
        features = features.masked_fill(~mask.to(features.device)[..., None], torch.nan)
    return features


def _target(target: Any) -> Tensor:
    if isinstance(target, Tensor):
        return target
    try:
        return torch.as_tensor(target)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"targets must be a tensor or numbers, got {_said(target)}") from None


def _said(value: Any) -> str:
    size = f" of {len(value)}" if isinstance(value, tuple | list) else ""
    return f"{type(value).__name__}{size}"
