"""A trial step on a copy of a learner, which raises before a run begins if the learner cannot be trained."""

import copy
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from onward.core import InferenceRule, Learner, LocalBlock, LocalTrainer, ObservedEvidence, TrainerSettings
from onward.core.graph import below
from onward.core.micro_batches import compared
from onward.parts.objective.targets import ClassWeights
from onward.parts.prepare import StandardizeValues


def try_out(learner: Learner, settings: TrainerSettings, *, batch_size: int) -> None:
    """Train a step of a copy of a learner and read its blocks, on two images, or one where pieces of a batch have one.

    The views of an image that its inference rules read are made too.

    Raises ValueError where algorithm, network, images and batch do not fit each other. Warns of losses that settings
    change or leave out, as they are not those of single samples.
    """
    copied = _copied(learner).train()
    # What is learned here is thrown away: the optimizer that keeps nothing will do, at a rate that ruins nothing.
    brief = replace(settings, optimizer="sgd", momentum=0.0, micro_batches=1, ema_decay=None)
    trainer = LocalTrainer(copied, replace(brief, learning_rate=1e-6, final_learning_rate=0.0))
    images, labels = _example(learner, min(2, _smallest_piece(batch_size, settings.micro_batches)))
    known = {id(p) for each in (learner, copied) for p in each.parameters()}
    before = [p.grad for p in learner.parameters()]
    for k, block in enumerate(copied.blocks):
        block.__dict__["loss"] = partial(_checked_loss, block.loss, block, k, known)
    for step in range(len(copied.turns)):
        trainer.step(images, labels, step=step)
    for parameter, gradient in zip(learner.parameters(), before, strict=True):
        parameter.grad = gradient  # a part that is no module may refer to the learner itself
    _check_scores(copied.eval().score_blocks(images), learner)  # rules may have to be fitted first
    for rule in copied.rules.values():
        assert isinstance(rule, InferenceRule)
        list(rule.views(ObservedEvidence(copied, images)))
    _warn_of_untrained(learner)
    _warn(list(learner.blocks), settings, batch_size)


def _copied(learner: Learner) -> Learner:
    try:
        return copy.deepcopy(learner)
    except RuntimeError as error:
        raise ValueError(
            f"the learner cannot be copied ({error}): a module that keeps what it computed, such as "
            "torch.nn.utils.weight_norm, has a successor in torch.nn.utils.parametrizations"
        ) from None


def _checked_loss(loss: Any, block: LocalBlock, k: int, known: set[int], activity: Tensor, target: Any) -> Tensor:
    """Return a block's loss. Raises ValueError where it cannot be trained as its author meant."""
    assert block.goodness is not None
    kind = type(block.goodness).__name__
    scores = block.goodness(activity.detach())
    axes, form = (2, "[B, C], one per class") if block.goodness.per_class else (1, "[B], one per sample")
    if scores.ndim != axes:
        raise ValueError(f"{kind} of block {k} gives scores {list(scores.shape)}, and they have to be {form}")
    value = loss(activity, target)
    if not value.isfinite():
        raise ValueError(
            f"the loss of block {k} is {float(value.detach())} before anything is learned, on images of arbitrary "
            f"pixels: look for a division by zero, or the logarithm or root of one, in {', '.join(_parts_of(block))}"
        )
    for node in below(value.grad_fn):
        leaf = getattr(node, "variable", None)
        if isinstance(leaf, Tensor) and leaf.requires_grad and id(leaf) not in known:
            raise ValueError(
                f"the loss of block {k} has a gradient to a tensor {list(leaf.shape)} that no module of the learner "
                f"holds, so that it would never be trained: make it an nn.Parameter of {', '.join(_parts_of(block))}"
            )
    return value


def _parts_of(block: LocalBlock) -> list[str]:
    """Return the names of the parts that a block's loss is made of."""
    parts = (block.body, block.goodness, block.objective, block.auxiliary)
    return [type(part).__name__ for part in parts if part is not None]


def _check_scores(scores: Tensor, learner: Learner) -> None:
    classes = len(learner.class_names)
    if len(scores) and scores.shape[-1] != classes:  # blocks that learn without labels give none
        raise ValueError(
            f"the blocks give {scores.shape[-1]} scores for {classes} classes: a goodness gives one for each class, "
            "[B, C], or one per sample, [B]"
        )


def _warn_of_untrained(learner: Learner) -> None:
    trained = {k for span in learner.spans for k in range(len(learner.blocks))[span.blocks]}
    weights = [any(p.requires_grad for p in block.body.parameters()) for block in learner.blocks]
    left = [str(k) for k, some in enumerate(weights) if some and k not in trained]
    if left:
        warnings.warn(
            f"no span has the blocks {', '.join(left)}, which stay as they were drawn and are read by rules all the "
            "same: give spans that have them, or freeze them by requires_grad_(False)",
            stacklevel=4,
        )


def _warn(blocks: Sequence[LocalBlock], settings: TrainerSettings, batch_size: int) -> None:
    weighed = [block for block in blocks if isinstance(block.objective, ClassWeights)]
    others = sorted({type(block.auxiliary).__name__ for block in weighed if block.auxiliary is not None})
    if others:
        warnings.warn(
            f"class_weights weigh the loss of the scores alone, not {' and '.join(others)}, which trains the same "
            "layers: a method without it, such as MonoForward, is weighed as a whole",
            stacklevel=4,
        )
    names, pieces = compared(blocks), settings.micro_batches
    if pieces > 1 and names:
        warnings.warn(
            f"{' and '.join(names)} compares the images of a batch, and in {pieces} micro-batches those of each alone, "
            f"{-(-batch_size // pieces)}: another loss than that of {batch_size} at once",
            stacklevel=4,
        )


def _example(learner: Learner, count: int) -> tuple[Tensor, Tensor]:
    """Return inputs and targets of the form that a learner takes."""
    form = learner.input_form
    assert form is not None
    values = torch.arange(count * torch.Size(form.shape).numel()).view(count, *form.shape) * 37 % 256
    reach = form.level / 255 if form.level else 1.0  # images of another unit than that of the training are refused
    inputs = values.to(torch.uint8) if form.unit else values % 2 if form.kind == "tokens" else values * reach
    if isinstance(learner.prepare, StandardizeValues) and form.kind != "tokens":  # of the training's size
        inputs = learner.prepare.mean + (values % 7 - 3) * learner.prepare.deviation
    classes = len(learner.class_names)
    return inputs, torch.arange(count) % classes if learner.task == "classes" else torch.zeros(count, classes)


def _smallest_piece(batch_size: int, pieces: int) -> int:
    size = -(-batch_size // pieces)
    return batch_size % size or size
