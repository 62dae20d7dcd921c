"""Cascade training from stored activations: the output of frozen blocks is computed once, not every epoch."""

from collections.abc import Iterator

import torch
from torch import Tensor

from onward.core import Learner, LocalTrainer, Stream
from onward.data import Augmentation, Source, TrainLoader, batches


def check_cacheable(learner: Learner, augmentation: Augmentation) -> None:
    """Raise ValueError where an image's activity changes from epoch to epoch, so that it cannot be stored."""
    if augmentation.enabled:
        raise ValueError("cache_activations needs augmentation off: augmented images differ every epoch")
    if learner.supervision.signed:
        raise ValueError(
            f"cache_activations cannot be used with {type(learner.supervision).__name__}: contrastive views differ "
            "every step"
        )


class FrozenInputs:
    """The stream that enters block `stop`, for every training image, held on the host."""

    def __init__(self, trainer: LocalTrainer, images: Source, *, stop: int):
        self.stop = stop
        self.device = trainer.learner.device
        parts: list[Stream] = []
        for x, y in batches(images, batch_size=500, device=self.device):
            stream, _ = trainer.enter(x, y, step=0)
            parts.append(tuple(tensor.cpu() for tensor in trainer.advance(stream, 0, stop, step=0)))
        self.stream: Stream = tuple(torch.cat(pieces) for pieces in zip(*parts, strict=True))
        self.labels = images.labels

    def epoch(self, loader: TrainLoader, index: int, *, start: int) -> Iterator[tuple[Stream, Tensor]]:
        """Yield the batches of one epoch in the loader's order, from batch `start` on."""
        for chosen in loader.order(index)[start:]:
            stream = tuple(tensor[chosen].to(self.device) for tensor in self.stream)
            yield stream, self.labels[chosen].to(self.device)
