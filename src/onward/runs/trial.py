"""A trial step on a copy of a learner, which raises before a run begins if the learner cannot be trained."""

import copy
from dataclasses import replace

import torch
from torch import Tensor

from onward.core import InferenceRule, Learner, LocalTrainer, ObservedEvidence, TrainerSettings


def try_out(learner: Learner, settings: TrainerSettings, *, batch_size: int) -> None:
    """Train a step of a copy of a learner and read its blocks, on two images, or one where pieces of a batch have one.

    The views of an image that its inference rules read are made too.

    Raises ValueError where algorithm, network, images and batch do not fit each other.
    """
    copied = copy.deepcopy(learner).train()
    # What is learned here is thrown away: the optimizer that keeps nothing will do, at a rate that ruins nothing.
    brief = replace(settings, optimizer="sgd", momentum=0.0, micro_batches=1, ema_decay=None)
    trainer = LocalTrainer(copied, replace(brief, learning_rate=1e-6, final_learning_rate=0.0))
    images, labels = _example(learner, min(2, _smallest_piece(batch_size, settings.micro_batches)))
    for step in range(len(copied.turns)):
        trainer.step(images, labels, step=step)
    copied.eval().score_blocks(images)  # rules may have to be fitted first
    for rule in copied.rules.values():
        assert isinstance(rule, InferenceRule)
        list(rule.views(ObservedEvidence(copied, images)))


def _example(learner: Learner, count: int) -> tuple[Tensor, Tensor]:
    """Return inputs and targets of the form that a learner takes."""
    form = learner.input_form
    assert form is not None
    values = torch.arange(count * torch.Size(form.shape).numel()).view(count, *form.shape) * 37 % 256
    reach = form.level / 255 if form.level else 1.0  # images of another unit than that of the training are refused
    inputs = values.to(torch.uint8) if form.unit else values % 2 if form.kind == "tokens" else values * reach
    classes = len(learner.class_names)
    return inputs, torch.arange(count) % classes if learner.task == "classes" else torch.zeros(count, classes)


def _smallest_piece(batch_size: int, pieces: int) -> int:
    size = -(-batch_size // pieces)
    return batch_size % size or size
