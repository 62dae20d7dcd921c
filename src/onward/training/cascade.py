"""Cascade training from stored activations: the output of frozen blocks is computed once, not every epoch."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from onward.core import Learner, LocalTrainer, Span, Stream
from onward.data import Augmentation, Source, TrainLoader, batches
from onward.parts.body.frozen import begin_statistics

MOST_BYTES = 8 * 2**30
"""The most memory of the host that stored activations may take."""

_BATCH = 500  # images that are computed together


def check_cacheable(learner: Learner, augmentation: Augmentation) -> None:
    """Raise ValueError if an image's activity changes from epoch to epoch, so that it cannot be stored."""
    if augmentation.enabled:
        raise ValueError("cache_activations needs augmentation off: augmented images differ every epoch")
    if learner.supervision.signed:
        raise ValueError(
            f"cache_activations cannot be used with {type(learner.supervision).__name__}: contrastive views differ "
            "every step"
        )


class FrozenInputs:
    """The stream that enters block `stop`, for every training image, held on the host.

    With `activity` it is the activity of that block, whose body is frozen too: its running statistics are first set to
    the means over this data set, and then used in training as in evaluation. Raises ValueError if this would take more
    than `MOST_BYTES`.
    """

    def __init__(self, trainer: LocalTrainer, images: Source, *, stop: int, activity: bool = False):
        self.stop, self.activity, self.device = stop, activity, trainer.learner.device
        self.labels = images.labels
        self.stream = self._held(self._entering(trainer, images))
        if activity:
            self._pass_body(trainer)

    def epoch(self, loader: TrainLoader, index: int, *, start: int) -> Iterator[tuple[Stream, Tensor]]:
        """Yield the batches of one epoch in the loader's order, from batch `start` on."""
        for chosen in loader.order(index)[start:]:
            stream = tuple(tensor[chosen].to(self.device) for tensor in self.stream)
            yield stream, self.labels[chosen].to(self.device)

    def _entering(self, trainer: LocalTrainer, images: Source) -> Iterator[Stream]:
        for x, y in batches(images, batch_size=_BATCH, device=self.device):
            stream, _ = trainer.enter(x, y, step=0)
            yield trainer.advance(stream, 0, self.stop, step=0)

    @torch.no_grad()
    def _pass_body(self, trainer: LocalTrainer) -> None:
        block = trainer.learner.blocks[self.stop]

        def activities() -> Iterator[Stream]:
            for part in zip(*(tensor.split(_BATCH) for tensor in self.stream), strict=True):
                with trainer.settings.arithmetic(self.device):
                    activity = block.run_body(*(tensor.to(self.device) for tensor in part))
                yield (activity, *part[1:])

        if begin_statistics(block.body):
            for _ in activities():
                pass
        block.body.eval()
        self.stream = self._held(activities())

    def _held(self, streams: Iterator[Stream]) -> Stream:
        parts: list[Stream] = []
        for stream in streams:
            parts.append(tuple(tensor.cpu() for tensor in stream))
            if len(parts) == 1:
                self._check_bytes(parts[0])
        return tuple(torch.cat(pieces) for pieces in zip(*parts, strict=True))

    def _check_bytes(self, part: Stream) -> None:
        needed = sum(tensor.nbytes for tensor in part) * len(self.labels) // max(1, len(part[0]))
        if needed > MOST_BYTES:
            raise ValueError(
                f"what enters block {self.stop} would take {needed / 1e9:.1f} GB of the host's memory for "
                f"{len(self.labels):,} images, and at most {MOST_BYTES / 1e9:.1f} GB are stored: leave out "
                "cache_activations (--trainer.cache-activations)"
            )


def reads_frozen_body(learner: Learner, turn: Sequence[Span]) -> bool:
    """Whether this turn trains only goodness and auxiliary of one block, whose body is frozen.

    Excluded are bodies that draw random numbers, have hooks, or whose running statistics are not means over all
    batches.
    """
    if len(turn) != 1 or turn[0].first != turn[0].last:
        return False
    body = learner.blocks[turn[0].first].body
    return not (any(p.requires_grad for p in body.parameters()) or any(map(_varies, body.modules())))


def _varies(module: nn.Module) -> bool:
    watched = module._forward_hooks or module._forward_pre_hooks
    forgets = isinstance(module, _NormBase) and module.momentum is not None
    return bool(watched) or forgets or bool(getattr(module, "p", 0))
