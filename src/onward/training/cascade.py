"""Cascade training from stored activations: the output of frozen blocks is computed once, not every epoch."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from onward.core import Learner, LocalBlock, LocalTrainer, Span, Stream, TrainerSettings
from onward.data import Augmentation, Source, TrainLoader, batches
from onward.nets.pooled_convolution import PooledConvolution
from onward.parts.body.frozen import begin_statistics, norms_with_statistics

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

    With `read_out`, what the block's goodness reads of its activity, as its body is frozen too; the whole activity
    where an auxiliary reads it as well. Running statistics of the body are first set to the means over this data set,
    and then used in training as in evaluation. The stream that enters the block behind it is kept as `handed_on`, to
    be given to that block's inputs as `entering`, so that no body computes an image twice.

    Raises ValueError if what is held at one time would take more than `MOST_BYTES`.
    """

    def __init__(
        self,
        trainer: LocalTrainer,
        images: Source,
        *,
        stop: int,
        read_out: bool = False,
        entering: Stream | None = None,
    ):
        self.stop, self.read_out, self.device = stop, read_out, trainer.learner.device
        self.labels = images.labels
        self.handed_on: Stream | None = None
        self.most_bytes, self._bytes = 0, _size(entering or ())
        self.stream = entering or self._held(self._computed(trainer, images))
        if read_out:
            self._pass_body(trainer)

    def entering(self, block: int) -> Stream | None:
        """Return the stream that enters a block, where it is held."""
        return self.handed_on if block == self.stop + 1 else None

    def epoch(self, loader: TrainLoader, index: int, *, start: int) -> Iterator[tuple[Stream, Tensor]]:
        """Yield the batches of one epoch in the loader's order, from batch `start` on."""
        for chosen in loader.order(index)[start:]:
            stream = tuple(tensor[chosen].to(self.device) for tensor in self.stream)
            yield stream, self.labels[chosen].to(self.device)

    def _computed(self, trainer: LocalTrainer, images: Source) -> Iterator[Stream]:
        for x, y in batches(images, batch_size=_BATCH, device=self.device):
            stream, _ = trainer.enter(x, y, step=0)
            yield trainer.advance(stream, 0, self.stop, step=0)

    @torch.no_grad()
    def _pass_body(self, trainer: LocalTrainer) -> None:
        """Replace what enters the block by what is read of its activity, and keep what it hands on."""
        block = trainer.learner.blocks[self.stop]
        arithmetic = partial(trainer.settings.arithmetic, self.device)
        lower, upper = (LocalBlock(half) for half in _halves(block.body))
        if not begin_statistics(block.body):
            upper = block
        elif upper.body is block.body:
            for _ in self._below_statistics(lower, upper, arithmetic):
                pass
        else:
            self._replace(self._held(self._below_statistics(lower, upper, arithmetic)))
        block.body.eval()
        read, handed_on = _Rows(len(self.labels), self._take), _Rows(len(self.labels), self._take)
        for x, *skips in self._parts():
            with arithmetic():
                activity = upper.run_body(x, *skips)
            read.add((_read(block, activity), *skips))
            if self.stop + 1 < len(trainer.learner.blocks):
                handed_on.add(block.handoff(activity, *skips))
        self._replace(read.stream)
        self.handed_on = handed_on.stream or None

    def _below_statistics(
        self, lower: LocalBlock, upper: LocalBlock, arithmetic: Callable[[], AbstractContextManager]
    ) -> Iterator[Stream]:
        """Yield what enters the first module with running statistics, while these follow it."""
        for x, *skips in self._parts():
            with arithmetic():
                x = lower.run_body(x)
                upper.run_body(x, *skips)
            yield (x, *skips)

    def _parts(self) -> Iterator[Stream]:
        for part in zip(*(tensor.split(_BATCH) for tensor in self.stream), strict=True):
            yield tuple(tensor.to(self.device) for tensor in part)

    def _held(self, streams: Iterator[Stream]) -> Stream:
        rows = _Rows(len(self.labels), self._take)
        for stream in streams:
            rows.add(stream)
        return rows.stream

    def _replace(self, stream: Stream) -> None:
        self._bytes -= _size(self.stream)
        self.stream = stream

    def _take(self, more: int) -> None:
        """Count bytes that are about to be held."""
        self._bytes += more
        self.most_bytes = max(self.most_bytes, self._bytes)
        if self._bytes > MOST_BYTES:
            raise ValueError(
                f"what is stored for block {self.stop} would take {self._bytes / 1e9:.1f} GB of the host's memory for "
                f"{len(self.labels):,} images, and at most {MOST_BYTES / 1e9:.1f} GB are stored: leave out "
                "cache_activations (--trainer.cache-activations)"
            )


class _Rows:
    """A stream of `count` images on the host, filled batch by batch; `take` is told its bytes before they are held."""

    def __init__(self, count: int, take: Callable[[int], None]):
        self.stream: Stream = ()
        self._count, self._take, self._filled = count, take, 0

    def add(self, part: Stream) -> None:
        if not self.stream:
            self._take(_size(part) * self._count // max(1, len(part[0])))
            self.stream = tuple(self._empty(tensor) for tensor in part)
        end = self._filled + len(part[0])
        for rows, tensor in zip(self.stream, part, strict=True):
            rows[self._filled : end] = tensor
        self._filled = end

    def _empty(self, part: Tensor) -> Tensor:
        """Return rows like these, with their channels last where they are."""
        last = part.ndim == 4 and not part.is_contiguous() and part.is_contiguous(memory_format=torch.channels_last)
        layout = torch.channels_last if last else torch.contiguous_format
        return torch.empty((self._count, *part.shape[1:]), dtype=part.dtype, memory_format=layout)


def _size(stream: Stream) -> int:
    return sum(tensor.nbytes for tensor in stream)


def _read(block: LocalBlock, activity: Tensor) -> Tensor:
    """Return what goodness, and auxiliary if there is one, read of an activity, its rows in one piece if smaller."""
    assert block.goodness is not None
    read = activity if block.auxiliary is not None else block.goodness.reduced(activity)
    return activity if read is activity else read.contiguous()


def _halves(body: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Cut a body in front of its first module with running statistics; a body that is no sequence stays whole."""
    kind = type(body)
    modules = list(body.children()) if kind in (nn.Sequential, PooledConvolution) else []
    first = next((k for k, module in enumerate(modules) if norms_with_statistics(module)), 0)
    return (kind(*modules[:first]), nn.Sequential(*modules[first:])) if first else (nn.Identity(), body)


def stored_per_image(learner: Learner, settings: TrainerSettings, images: Source) -> float:
    """Return the most bytes per image that a cascade with `cache_activations` holds at one time, counted on `images`.

    The running statistics of frozen bodies change.
    """
    trainer, below, most = LocalTrainer(learner, settings), None, 0
    for span in learner.spans:
        entering = None if below is None else below.entering(span.first)
        read_out = reads_frozen_body(learner, (span,))
        below = FrozenInputs(trainer, images, stop=span.first, read_out=read_out, entering=entering)
        most = max(most, below.most_bytes)
    return most / len(images)


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
