"""The trainer: the pass over blocks, written once for every algorithm and for backprop."""
# B batch, S spans

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from onward.core.batch_norm_error import batch_norm_remedies
from onward.core.block import LocalBlock
from onward.core.draws import SeededDraws
from onward.core.gradients import gradients_on, make_trainable, ordinary
from onward.core.joint_step import JointStep, check_joint_step
from onward.core.learner import Learner
from onward.core.micro_batches import Piece, split
from onward.core.optimizer import BlockOptimizer
from onward.core.recompute import statistics_kept
from onward.core.settings import TrainerSettings
from onward.core.slots import Label, Stream, Target
from onward.core.span import Span
from onward.core.update import Context, update_span

Images = Shaped[Tensor, "B ..."]
"""A batch of inputs, raw or prepared: images, rows of a table, token ids."""


class LocalTrainer:
    """Applies a learner's spans, in order, to one batch after another.

    Randomness depends on (seed, step, block) alone: supervision draws from one generator per step, each body from its
    own seed per step, also where overlapping spans compute a block twice; there a batch enters running statistics once.
    Gradients are computed also under the caller's `no_grad` and `inference_mode`.
    Raises ValueError for settings that step together where two spans train a block in one step.
    """

    def __init__(self, learner: Learner, settings: TrainerSettings, *, seed: int = 0, first_piece: int = 0):
        make_trainable(learner)
        self.learner = learner
        self.settings = settings
        self.draws = SeededDraws(seed)
        self.first_piece = first_piece  # the number of the first micro-batch, if other replicas train those before it
        self.optimizers = [BlockOptimizer(block, settings) for block in learner.blocks]
        self.joint = JointStep()
        if settings.step_together:
            check_joint_step(learner)

    @gradients_on()
    def step(self, x: Images, y: Label, *, step: int) -> Float[Tensor, "S"]:
        """Update every span on one batch of prepared or raw images and return the loss of each, without a graph."""
        pieces = split(*self._enter(x, y, step), self.settings.micro_batches)
        spans = self.learner.turns[step % len(self.learner.turns)]
        return torch.stack(self._update(pieces, spans, step, 0, None, keep=False))

    @gradients_on()
    def enter(self, x: Images, y: Label, *, step: int) -> tuple[Stream, Target]:
        """Return the stream that enters block 0, and the target of every objective, for a raw or prepared batch."""
        return self._enter(x, y, step)

    def _enter(self, x: Images, y: Label, step: int) -> tuple[Stream, Target]:
        x, y = ordinary(x), ordinary(y)
        with self.draws.open(x.device, step, "prepare"):
            x = self.learner.prepare(x)
        if self.settings.channels_last and x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        return self.learner.supervision.train_view(x, y, self.draws.generator(x.device, step, "supervision"))

    @gradients_on()
    def update(
        self, stream: Stream, target: Target, spans: Sequence[Span], *, step: int, at: int = 0
    ) -> Float[Tensor, "S"]:
        """Update `spans` from a stream that enters block `at`; blocks before a span's first are only computed."""
        pieces = split(stream, target, self.settings.micro_batches)
        del stream
        return torch.stack(self._update(pieces, spans, step, at, None, keep=False))

    @gradients_on()
    def update_pieces(
        self, pieces: list[Piece], spans: Sequence[Span], *, step: int, at: int = 0, stop: int | None = None
    ) -> list[Float[Tensor, ""]]:
        """Update `spans` from the pieces of a batch that enter block `at`; return the loss of each.

        Each piece's stream is replaced, in place, by the one that the last span hands on, or that enters block `stop`.
        """
        return self._update(pieces, spans, step, at, stop)

    @gradients_on()
    @batch_norm_remedies()
    def update_read_out(self, pieces: list[Piece], block: int, *, step: int) -> list[Float[Tensor, ""]]:
        """Update goodness and auxiliary of a block from the pieces of its activity; its body is not run."""
        own = self.learner.blocks[block]
        reader = LocalBlock(nn.Identity(), goodness=own.goodness, objective=own.objective, auxiliary=own.auxiliary)
        pieces[:] = [_ordinary(piece) for piece in pieces]
        context = self._context(block, pieces[0].target, step)
        return [update_span([reader], pieces, self.optimizers[block : block + 1], [context])]

    @batch_norm_remedies()
    def _update(
        self, pieces: list[Piece], spans: Sequence[Span], step: int, at: int, stop: int | None, *, keep: bool = True
    ) -> list[Float[Tensor, ""]]:
        """Update spans; unless `keep`, the streams that the last one hands on are dropped."""
        pieces[:] = [_ordinary(piece) for piece in pieces]
        with self._gradients_dropped(spans):
            if not self.settings.step_together:
                return self._train(pieces, spans, step, at, stop)
            return self._train_together(pieces, spans, step, at, stop, keep)

    def _train_together(
        self, pieces: list[Piece], spans: Sequence[Span], step: int, at: int, stop: int | None, keep: bool
    ) -> list[Float[Tensor, ""]]:
        losses: list[Tensor] = []
        for number, piece in enumerate(pieces):  # all gradients are held: not the stream of the whole batch beside them
            alone, pieces[number] = [piece], piece._replace(stream=())
            del piece
            own = self._train(alone, spans, step, at, stop, first=number)
            losses = [before + loss for before, loss in zip(losses, own, strict=True)] if losses else own
            if keep:
                pieces[number] = alone[0]
        self.joint.step([optimizer for span in spans for optimizer in self.optimizers[span.blocks]])
        return losses

    @contextmanager
    def _gradients_dropped(self, spans: Sequence[Span]) -> Iterator[None]:
        """Drop the gradients of a step that does not come to its end: the next one would add them to its own."""
        try:
            yield
        except BaseException:
            for span in spans:
                for block in self.learner.blocks[span.blocks]:
                    block.zero_grad()
            raise

    def _train(
        self, pieces: list[Piece], spans: Sequence[Span], step: int, at: int, stop: int | None, *, first: int = 0
    ) -> list[Float[Tensor, ""]]:
        """Add up the gradients of pieces, numbered from `first`; each span steps after its own, unless together."""
        target = pieces[0].target  # on the device of the batch
        blocks = list(self.learner.blocks)
        losses, computed = [], 0  # blocks before `computed` have seen this batch
        for span, following in zip(spans, [*spans[1:], None], strict=True):
            self._advance(pieces, at, span.first, step=step, first=first)
            at, left = span.first, span.last + 1 if following is None else min(following.first, span.last + 1)
            loss = update_span(
                blocks[span.blocks],
                pieces,
                (),
                [self._context(k, target, step, first, again=k < computed) for k in range(at, span.last + 1)],
                handoff_from=left - at if left <= span.last else None,
                deep=span.deep,
                recompute=self.settings.recompute,
            )
            losses.append(loss)
            at, computed = left, span.last + 1
            if not self.settings.step_together:
                self.joint.step(self.optimizers[span.blocks])
        if stop is not None:
            self._advance(pieces, at, stop, step=step, first=first)
        return losses

    @torch.no_grad()
    @batch_norm_remedies()
    def advance(self, stream: Stream, start: int, stop: int, *, step: int, piece: int = 0) -> Stream:
        """Run blocks start..stop-1 on a stream without training them; return the stream that they hand on."""
        for k in range(start, stop):
            block, (x, *skips) = self.learner.blocks[k], stream
            with self._open(k, step, x.device, False, 0, piece):
                activity = block.run_body(x, *skips)
            stream = block.handoff(activity, *skips)  # in the activity's own precision, as after an update
        return stream

    def _advance(self, pieces: list[Piece], start: int, stop: int, *, step: int, first: int) -> None:
        if start >= stop:
            return
        for number, piece in enumerate(pieces):
            stream = self.advance(piece.stream, start, stop, step=step, piece=first + number)
            pieces[number] = piece._replace(stream=stream)

    def set_learning_rate(self, value: float) -> None:
        for optimizer in self.optimizers:
            optimizer.set_learning_rate(value)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Give the learner its averaged weights inside the `with`; without weight averaging nothing changes."""
        with ExitStack() as stack:
            for optimizer in self.optimizers:
                stack.enter_context(optimizer.averaged())
            yield

    def adopt_average(self) -> None:
        """Copy the averaged weights into the learner, at the end of a training."""
        for optimizer in self.optimizers:
            if optimizer.average is not None:
                optimizer.block.load_state_dict(optimizer.average.module.state_dict())

    def _context(self, block: int, target: Target, step: int, first: int = 0, *, again: bool = False) -> Context:
        return partial(self._open, block, step, target.label.device, again, first)

    @contextmanager
    def _open(self, block: int, step: int, device: torch.device, again: bool, first: int, piece: int) -> Iterator[None]:
        piece += self.first_piece + first
        draws = self.draws.open(device, step, block, *([piece] if piece else []))
        counted = statistics_kept(self.learner.blocks[block]) if again else nullcontext()
        with draws, self.settings.arithmetic(device), counted:
            yield


def _ordinary(piece: Piece) -> Piece:
    label, sign = ordinary(piece.target.label), piece.target.sign
    target = piece.target._replace(label=label, sign=None if sign is None else ordinary(sign))
    return piece._replace(stream=tuple(map(ordinary, piece.stream)), target=target)
