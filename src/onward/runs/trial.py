"""A trial: a step of a learner that is dropped, so that what cannot be trained is refused before a run begins."""

import copy
from dataclasses import replace

import torch

from onward.core import Learner, LocalTrainer, TrainerSettings


def try_out(learner: Learner, settings: TrainerSettings, *, batch_size: int) -> None:
    """Train a step of a copy of a learner and read its blocks, on two images, or one where pieces of a batch have one.

    Raises ValueError where algorithm, network, images and batch do not fit each other.
    """
    description, shape = learner.description, learner.image_shape
    assert description is not None and shape is not None
    copied = copy.deepcopy(learner).train()
    # What is learned here is thrown away: the optimizer that keeps nothing will do, at a rate that ruins nothing.
    brief = replace(settings, optimizer="sgd", momentum=0.0, micro_batches=1, averaging=None)
    trainer = LocalTrainer(copied, replace(brief, learning_rate=1e-6, final_learning_rate=0.0))
    count = min(2, _smallest_piece(batch_size, settings.micro_batches))
    values = torch.arange(count * torch.Size(shape).numel()) * 37 % 256
    images = values.to(torch.uint8).view(count, *shape)
    labels = torch.arange(count) % len(description.class_names)
    for step in range(len(copied.turns)):
        trainer.step(images, labels, step=step)
    copied.eval().score_blocks(images)  # rules may have to be fitted first


def _smallest_piece(batch_size: int, pieces: int) -> int:
    size = -(-batch_size // pieces)
    return batch_size % size or size
