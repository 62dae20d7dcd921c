"""The captured step: the work of a `LocalTrainer`, repeated as one graph in place of operation by operation."""

import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from onward.core.constants import constants_held
from onward.core.draws import GraphDraws, ObservedDraws, SeededDraws
from onward.core.gradients import gradients_on
from onward.core.joint_step import weight_of_two
from onward.core.micro_batches import Piece, split
from onward.core.obstacles import obstacles
from onward.core.optimizer import BlockOptimizer, Rate
from onward.core.recorded_state import RecordedState
from onward.core.settings import TrainerSettings
from onward.core.slots import Stream, Target
from onward.core.span import Span
from onward.core.trainer import Images, LocalTrainer

_WARM_UPS = 3  # runs without a graph, which create optimizer state, constants and the plans of libraries
_MOST_GRAPHS = 32  # each holds memory of its own

Work = Callable[[list[Tensor]], tuple[list[Tensor], Any]]
"""Takes the tensors that enter; returns those that leave, and their structure. All other tensors keep their address."""


@runtime_checkable
class Graphs(Protocol):
    """Records work and repeats it: CUDA graphs, compiled programs, or a substitute in tests."""

    name: str
    """What steps run as, for messages."""

    def warm(self, work: Callable[[], object]) -> None:
        """Do the work on the stream on which it will be recorded."""
        ...

    def record(
        self, work: Callable[[], list[Tensor]], generators: Sequence[torch.Generator]
    ) -> Callable[[], list[Tensor]]:
        """Record the work, which draws from these generators; return a function that repeats it.

        Both return the tensors that leave. The recording itself changes no tensor from outside.
        """
        ...


class CudaGraphs(Graphs):
    """CUDA graphs in one memory pool, as they are repeated one after the other. Not yet run on a device."""

    name = "CUDA graphs"

    def __init__(self, device: torch.device):
        self.stream = torch.cuda.Stream(device)
        self.pool: Any = None

    def warm(self, work: Callable[[], object]) -> None:
        around = torch.cuda.current_stream(self.stream.device)
        self.stream.wait_stream(around)
        with torch.cuda.stream(self.stream):
            work()
        around.wait_stream(self.stream)

    def record(
        self, work: Callable[[], list[Tensor]], generators: Sequence[torch.Generator]
    ) -> Callable[[], list[Tensor]]:
        graph = torch.cuda.CUDAGraph()
        for generator in generators:
            graph.register_generator_state(generator)
        # Other threads, such as a loader's, may go on with calls that a capture forbids.
        with torch.cuda.graph(graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local"):
            leaving = work()
        self.pool = graph.pool()

        def repeat() -> list[Tensor]:
            graph.replay()
            return leaving

        return repeat


class _Recorded:
    """Work of one kind: how often it ran, and, once it is recorded, its buffers and the function that repeats it."""

    def __init__(self) -> None:
        self.count = 0
        self.observed: ObservedDraws | None = None
        self.draws: GraphDraws | None = None
        self.entering: list[Tensor] = []
        self.leaving: list[Tensor] = []
        self.repeat: Callable[[], list[Tensor]] | None = None
        self.form: Any = None
        self.held: list[Tensor] = []
        self.state: RecordedState | None = None


class CapturedTrainer:
    """Runs the steps of a `LocalTrainer` as graphs: one for each turn, phase and shape of the batch.

    Work of each kind runs three times without a graph. The third run is checked: if a graph could not repeat it, no
    work is captured and `reason` names the obstacle. A batch smaller than an earlier one never becomes a graph. Random
    numbers are those of the plain step, and so is the order of operations, except in compiled programs. Where modules,
    weights or settings were exchanged, work is captured again (see `RecordedState`). What `enter` and `update_pieces`
    return is valid until the next step.
    """

    def __init__(self, trainer: LocalTrainer, graphs: Graphs):
        assert isinstance(trainer.draws, SeededDraws)
        self.trainer, self.graphs, self.plain_draws = trainer, graphs, trainer.draws
        self.reason: str | None = None
        self.images = 0  # of the largest batch
        self._recorded: dict[Hashable, _Recorded] = {}
        rates: dict[float, Rate] = {}
        alike = all((span.begin, span.end) == (0.0, 1.0) for span in trainer.learner.spans)
        for optimizer in trainer.optimizers:  # in spans with windows each block has a learning rate of its own
            optimizer.make_capturable(rates if alike else {})
        if trainer.settings.ema_decay is not None and any(map(self._moves_twice, trainer.learner.turns)):
            self._give_up(
                "averages of weights follow each update of a block, and overlapping spans, or blocks with the same "
                "weights, make two in a step"
            )

    def forget(self) -> None:
        """Discard all graphs, as state was replaced."""
        self._recorded.clear()

    @gradients_on()
    def step(self, x: Images, y: Tensor, *, step: int) -> Float[Tensor, "S"]:
        """Do what `LocalTrainer.step` does."""
        pieces = split(*self.enter(x, y, step=step), self.trainer.settings.micro_batches)
        turns = self.trainer.learner.turns
        return torch.stack(self.update_pieces(pieces, turns[step % len(turns)], step=step))

    @gradients_on()
    def enter(self, x: Images, y: Tensor, *, step: int) -> tuple[Stream, Target]:
        """Return what `LocalTrainer.enter` does."""

        def work(tensors: list[Tensor]) -> tuple[list[Tensor], Any]:
            piece = Piece(*self.trainer.enter(*tensors, step=step), 1.0)
            return _tensors([piece]), [_form(piece)]

        leaving, form = self._do(("enter", _kind([x, y])), [x, y], work, (), step, len(y))
        (piece,) = _pieces(leaving, form)
        return piece.stream, piece.target

    @gradients_on()
    def update_pieces(
        self, pieces: list[Piece], spans: Sequence[Span], *, step: int, at: int = 0, stop: int | None = None
    ) -> list[Float[Tensor, ""]]:
        """Do what `LocalTrainer.update_pieces` does."""
        if not spans:
            return self.trainer.update_pieces(pieces, spans, step=step, at=at, stop=stop)
        form, entering = [_form(piece) for piece in pieces], _tensors(pieces)

        def work(tensors: list[Tensor]) -> tuple[list[Tensor], Any]:
            own = _pieces(tensors, form)
            losses = self.trainer.update_pieces(own, spans, step=step, at=at, stop=stop)
            return [*losses, *_tensors(own)], [_form(piece) for piece in own]

        modes = tuple(block.training for block in self.trainer.learner.blocks)
        key = ("update", tuple(spans), at, stop, modes, tuple(form), _kind(entering))
        images = sum(len(piece.target.label) // piece.target.views for piece in pieces)
        leaving, handed_on = self._do(key, entering, work, spans, step, images)
        pieces[:] = _pieces(leaving[len(spans) :], handed_on)
        return leaving[: len(spans)]

    def _do(
        self, key: Hashable, entering: list[Tensor], work: Work, spans: Sequence[Span], step: int, images: int
    ) -> tuple[list[Tensor], Any]:
        self.images = max(self.images, images)
        full = len(self._recorded) < _MOST_GRAPHS or key in self._recorded
        if self.reason is not None or images < self.images or not full:
            return work(entering)
        recorded = self._recorded.setdefault(key, _Recorded())
        if recorded.state is not None:
            if recorded.state.has_gradients():  # of a step that was interrupted, or the caller's own
                return work(entering)
            if not recorded.state.is_current(self._optimizers(spans)):
                recorded = self._recorded[key] = _Recorded()
        if recorded.repeat is None and recorded.count == _WARM_UPS:
            self._record(recorded, entering, work, spans)
            if self.reason is not None:
                return work(entering)
        if recorded.repeat is None:
            self._warm(recorded, entering, work, spans)
        elif recorded.draws is not None:
            for buffer, tensor in zip(recorded.entering, entering, strict=True):
                if buffer is not tensor:
                    buffer.copy_(tensor, non_blocking=True)
            recorded.draws.begin(step)
            recorded.leaving = recorded.repeat()
        for optimizer in self._optimizers(spans):
            optimizer.follow_average()
        return recorded.leaving, recorded.form

    def _warm(self, recorded: _Recorded, entering: list[Tensor], work: Work, spans: Sequence[Span]) -> None:
        """Do the work without a graph; note which parts draw random numbers, and in the last run the obstacles."""
        recorded.count += 1
        if recorded.count == 1:
            recorded.observed = ObservedDraws(self.plain_draws)

        def once() -> None:
            recorded.leaving, recorded.form = work(entering)

        draws = self.plain_draws if recorded.count > 1 else recorded.observed
        assert draws is not None
        with self._inside(spans, draws), _begun_again(recorded):
            if recorded.count < _WARM_UPS:
                self.graphs.warm(once)
                return
            stepped = [part.optimizer for optimizer in self._optimizers(spans) for part in optimizer.parts]
            reasons = obstacles(lambda: self.graphs.warm(once), self.trainer.learner, stepped)
        if reasons:
            self._give_up("; ".join(reasons))
        recorded.state = self._state(spans)

    def _record(self, recorded: _Recorded, entering: list[Tensor], work: Work, spans: Sequence[Span]) -> None:
        assert recorded.observed is not None
        recorded.entering = [tensor.clone(memory_format=torch.preserve_format) for tensor in entering]
        recorded.draws = GraphDraws(recorded.observed, self.trainer.learner.device)

        def again() -> list[Tensor]:
            assert recorded.draws is not None
            with self._inside(spans, recorded.draws):
                leaving, recorded.form = work(recorded.entering)
            return leaving

        try:
            with constants_held() as recorded.held:
                recorded.repeat = self.graphs.record(again, recorded.draws.generators)
        except BaseException as error:
            for optimizer in self._optimizers(spans):
                optimizer.drop_gradients()
            if not isinstance(error, Exception):  # whatever a compiler raises, the plain step goes on without it
                raise
            reason = (str(error).splitlines() or [""])[0]
            self._give_up(f"the recording failed: {reason or type(error).__name__}")

    def _give_up(self, reason: str) -> None:
        self.reason = reason
        self.forget()
        warnings.warn(f"steps run without {self.graphs.name}: {reason}", stacklevel=2)

    @contextmanager
    def _inside(self, spans: Sequence[Span], draws: Any) -> Iterator[None]:
        """Let the trainer draw from `draws`, and postpone the averages of weights."""
        optimizers = self._optimizers(spans)
        self.trainer.draws = draws
        for optimizer in optimizers:
            optimizer.average_later = True
        try:
            yield
        finally:
            self.trainer.draws = self.plain_draws
            for optimizer in optimizers:
                optimizer.average_later = False

    def _moves_twice(self, spans: Sequence[Span]) -> bool:
        """Whether a weight is updated twice in a step of these spans."""
        trained = [k for span in spans for k in range(span.first, span.last + 1)]
        return len(set(trained)) < len(trained) or weight_of_two(spans, self.trainer.learner) is not None

    def _state(self, spans: Sequence[Span]) -> RecordedState:
        """Return what work takes for granted: of spans, or of what comes before the blocks."""
        trainer, learner = self.trainer, self.trainer.learner
        modules = learner.blocks if spans else [learner.prepare]
        tables = [vars(trainer), vars(self.plain_draws), vars(learner)["_modules"]]
        tables += [learner.blocks.__dict__["_modules"]] if spans else [vars(learner)]
        return RecordedState(modules, self._optimizers(spans), tables)

    def _optimizers(self, spans: Sequence[Span]) -> list[BlockOptimizer]:
        return [optimizer for span in spans for optimizer in self.trainer.optimizers[span.blocks]]


def warn_uncaptured(settings: TrainerSettings, reason: str, *, stacklevel: int = 2) -> None:
    """Warn, where settings ask for captured steps, that steps run as they are, and why.

    `stacklevel` is that of a `warnings.warn` in the caller's place.
    """
    if settings.capture != "never":
        warnings.warn(
            f"capture {settings.capture!r} has no effect, steps run as they are: {reason}", stacklevel=stacklevel + 1
        )


@contextmanager
def _begun_again(recorded: _Recorded) -> Iterator[None]:
    """Begin again with the first run where one was interrupted: not all of its draws were observed."""
    try:
        yield
    except BaseException:
        recorded.count = 0
        raise


_Form = tuple[int, bool, int, float]
"""The number of tensors in a piece's stream, whether its target is signed, its views, and its share."""


def _form(piece: Piece) -> _Form:
    return len(piece.stream), piece.target.sign is not None, piece.target.views, piece.share


def _tensors(pieces: Sequence[Piece]) -> list[Tensor]:
    tensors = []
    for piece in pieces:
        sign = piece.target.sign
        tensors += [*piece.stream, piece.target.label, *([] if sign is None else [sign])]
    return tensors


def _pieces(tensors: Sequence[Tensor], forms: Sequence[_Form]) -> list[Piece]:
    """Put pieces together again from their tensors."""
    pieces, rest = [], list(tensors)
    for length, signed, views, share in forms:
        stream, label = tuple(rest[:length]), rest[length]
        target = Target(label, rest[length + 1] if signed else None, views, made={})
        pieces.append(Piece(stream, target, share))
        rest = rest[length + 1 + signed :]
    return pieces


def _kind(tensors: Sequence[Tensor]) -> Hashable:
    return tuple((tensor.shape, tensor.stride(), tensor.dtype) for tensor in tensors)
