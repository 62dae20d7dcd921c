"""A trial: a step of a learner that is dropped, so that what cannot be trained is refused before a run begins."""

from dataclasses import replace

import torch

from onward.core import LocalTrainer, TrainerSettings
from onward.runs.model import ModelSpec


def try_out(spec: ModelSpec, settings: TrainerSettings, *, batch_size: int, seed: int = 0) -> None:
    """Build a learner, train a step of it and read its blocks, on two images, or one where pieces of a batch have one.

    Raises ValueError where algorithm, network, images and batch do not fit each other.
    """
    learner = spec.build(seed=seed).train()
    # What is learned here is thrown away: the optimizer that keeps nothing will do, at a rate that ruins nothing.
    brief = replace(settings, optimizer="sgd", momentum=0.0, micro_batches=1, averaging=None)
    trainer = LocalTrainer(learner, replace(brief, learning_rate=1e-6, final_learning_rate=0.0))
    count = min(2, _smallest_piece(batch_size, settings.micro_batches))
    values = torch.arange(count * torch.Size(spec.shape).numel()) * 37 % 256
    images = values.to(torch.uint8).view(count, *spec.shape)
    labels = torch.arange(count) % len(spec.class_names)
    for step in range(len(learner.turns)):
        trainer.step(images, labels, step=step)
    learner.eval().score_blocks(images)  # rules may have to be fitted first


def _smallest_piece(batch_size: int, pieces: int) -> int:
    size = -(-batch_size // pieces)
    return batch_size % size or size
