"""A training as an iterator over steps and epochs, whose whole state can be read after each."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from onward.core import (
    CapturedTrainer,
    CompiledPrograms,
    CudaGraphs,
    EpochDone,
    Learner,
    LocalTrainer,
    Span,
    Stream,
    Target,
    TrainerSettings,
    Turns,
    check_compilable,
    gradients_on,
    recorded_programs,
    split,
    warn_uncaptured,
)
from onward.data import Augmentation, Splits, TrainLoader
from onward.measure import peak_memory
from onward.parts.body.frozen import follow_data
from onward.training.cascade import FrozenInputs, check_cacheable, reads_frozen_body
from onward.training.evaluation import Evaluator, Watch
from onward.training.finite import check_finite
from onward.training.losses import LossLog, ends_of
from onward.training.neighbors import NO_ORDERS, Alone, Neighbors, Orders, Step, Stopped

_CHECK_EVERY = 50  # steps between checks of the losses, each of which waits for the device


@dataclass(frozen=True)
class StepDone:
    """One batch of `images` was trained on: step `step` of `steps` in an epoch; all stages follow the same `orders`."""

    epoch: int
    step: int
    steps: int
    images: int
    orders: Orders = NO_ORDERS


@runtime_checkable
class Listener(Protocol):
    """Receives the progress of a training, such as the bar on a terminal."""

    @property
    def stage(self) -> Watch:
        """Called for work between steps, such as validation."""
        ...

    def step(self, done: StepDone) -> None: ...

    def epoch(self, done: EpochDone) -> None: ...

    def trained(self) -> None:
        """Called after the last epoch."""


class Training:
    """Trains a learner on the training split and validates after each epoch, as it is iterated over.

    Iterating again continues where the iteration stopped; so does a new Training that loads the state of an old one.
    Joint order trains every span on every batch; cascade order gives each span `epochs` of its own, then freezes it.
    With `neighbors` it is one stage of a pipeline, whose other blocks are in other processes: every stage takes the
    same steps in the same order, each as soon as its input arrives, and only the last one yields results of epochs.

    Raises ValueError when a loss is no longer finite, naming block and step; Stopped after a step ordered to stop.
    """

    @gradients_on()
    def __init__(
        self,
        learner: Learner,
        data: Splits,
        settings: TrainerSettings,
        *,
        epochs: int,
        batch_size: int,
        seed: int = 0,
        augmentation: Augmentation | None = None,
        neighbors: Neighbors | None = None,
    ):
        augmentation, neighbors = augmentation or Augmentation(), neighbors or Alone()
        if settings.cache_activations:
            check_cacheable(learner, augmentation)
        learner.laid_out(settings)
        self.learner, self.data, self.settings, self.epochs = learner, data, settings, epochs
        self.neighbors, self.owned = neighbors, neighbors.owned or range(len(learner.blocks))
        self.pieces = settings.micro_batches * neighbors.replicas
        first_piece = settings.micro_batches * neighbors.replica
        self.own_pieces = slice(first_piece, first_piece + settings.micro_batches)
        self.trainer = LocalTrainer(learner, settings, seed=seed, first_piece=first_piece)
        neighbors.attach(self.trainer)
        self.stepper = stepper(self.trainer, neighbors)
        through = neighbors.through(learner)
        self.evaluator = Evaluator(learner, settings, batch_size=batch_size, through=through)
        self.loader = TrainLoader(
            data.train,
            batch_size=batch_size,
            device=learner.device,
            augmentation=augmentation,
            seed=seed,
            own=self._own_rows(min(batch_size, len(data.train))),
        )
        self.phases = _phases(learner, settings)
        self.frozen: FrozenInputs | None = None
        self.steps, self.total_epochs = len(self.loader), epochs * len(self.phases)
        self.epoch = 0
        self.train_seconds = 0.0
        self._begin_epoch()

    def __iter__(self) -> Iterator[StepDone | EpochDone]:
        events = self._events()
        while True:
            with gradients_on():  # around the work of the training, not of the caller
                event = next(events, None)
            if event is None:
                return
            yield event

    def _events(self) -> Iterator[StepDone | EpochDone]:
        while self.epoch < self.total_epochs:
            with self.neighbors.working():
                yield from self._steps()
            done = self._finish_epoch()
            if done is not None:
                yield done

    def check(self) -> None:
        """Raise ValueError if a loss was not finite, naming the block and the step where that first happened."""
        self.log.check(self.steps)

    @gradients_on()
    def finish(self) -> None:
        """Adopt averaged weights, if any, and fit every inference rule; call it once, after the last epoch."""
        self.trainer.adopt_average()
        check_finite(self.learner.state_dict(), f" after step {self.step}")
        self.evaluator.fit_rules(self.data.train, self.data.validation)
        check_finite(self.learner.state_dict(), " after its rules were fitted")

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the state that the rest of this process's training depends on: tensors, and plain notes."""
        tensors = {f"learner.{name}": value for name, value in self.learner.state_dict().items()}
        for k in self.owned:
            tensors |= {f"optimizer.{k}.{name}": value for name, value in self.trainer.optimizers[k].state().items()}
        tensors |= {"loss_sum": self.log.sum, "first_bad": self.log.first_bad}
        return tensors, {
            "epoch": self.epoch,
            "step_in_epoch": self.step_in_epoch,
            "epoch_seconds": self.epoch_seconds,
            "train_seconds": self.train_seconds,
        }

    @gradients_on()
    def load_state(self, tensors: dict[str, Tensor], notes: dict[str, Any]) -> None:
        """Continue from what `state` returned, or from the owned part of it.

        Raises ValueError if it belongs to another training.
        """
        load_weights(self.trainer, tensors, self.owned)
        if isinstance(self.stepper, CapturedTrainer):
            self.stepper.forget()
        self.epoch, step = spot_of(notes, self.total_epochs, self.steps)
        self._begin_epoch(step)
        self.epoch_seconds, self.train_seconds = notes["epoch_seconds"], notes["train_seconds"]
        own = slice(self.owned.start, self.owned.stop)
        self.log.sum[own] = tensors["loss_sum"].to(self.log.sum)[own]
        self.log.first_bad[own] = tensors["first_bad"].to(self.log.first_bad)[own]

    def _begin_epoch(self, step_in_epoch: int = 0) -> None:
        """Set the values that are the same in all steps of an epoch."""
        phase, now = divmod(min(self.epoch, self.total_epochs - 1), self.epochs)
        self.turns = _in_window(self.phases[phase], now, self.epochs)
        self.own_turns = own_turns(self.turns, self.owned)
        self.first_step = phase * self.epochs * self.steps  # of this phase
        self.entry = self.turns[0][0].first if self.settings.cache_activations else self.owned.start
        self.step_in_epoch = step_in_epoch
        self.step = self.epoch * self.steps + step_in_epoch
        self.epoch_seconds = 0.0
        self.log = LossLog(len(self.learner.blocks), self.learner.device)

    def _own_rows(self, batch_size: int) -> slice | None:
        """Return the rows of every batch that this process trains on; None if it needs the others as well."""
        replicas = self.neighbors.replicas
        if replicas == 1 or self.learner.supervision.mixes_images:
            return None
        share = batch_size // replicas  # even shares: checked where replicas are made
        return slice(self.neighbors.replica * share, (self.neighbors.replica + 1) * share)

    def _steps(self) -> Iterator[StepDone]:
        set_modes(self.learner, self.turns)
        ends, started = ends_of(self.own_turns, self.learner.device), time.perf_counter()
        for step in self._inputs():
            self.neighbors.tick()
            turn = self.step % len(self.turns)
            own, stop = self.own_turns[turn], end_block(self.turns[turn], self.owned)
            self._set_learning_rate()
            if self.frozen is not None and self.frozen.read_out:
                losses = self.trainer.update_read_out(step.pieces, self.entry, step=self.step)
            else:
                losses = self.stepper.update_pieces(step.pieces, own, step=self.step, at=self.entry, stop=stop)
            if losses:
                self.log.note(self.neighbors.add_up(torch.stack(losses)), ends[turn], self.step)
            if self.neighbors.last or stop < self.owned.stop:  # no later block is trained on the output
                step.pieces[:] = [piece._replace(stream=()) for piece in step.pieces]
            self.step_in_epoch += 1
            self.step += 1
            self.epoch_seconds += time.perf_counter() - started  # without the caller's time
            if self.step_in_epoch % _CHECK_EVERY == 0 or step.orders.save:  # a checkpoint must be a good one
                self.check()
            yield StepDone(self.epoch, self.step_in_epoch, self.steps, self.loader.batch_size, step.orders)
            self.neighbors.hand_on(step)
            if step.orders.signal is not None:
                raise Stopped(step.orders.signal)
            del step
            started = time.perf_counter()

    def _inputs(self) -> Iterator[Step]:
        if not self.neighbors.first:
            for _ in range(self.step_in_epoch, self.steps):
                yield self.neighbors.receive(self.pieces, self.own_pieces)
            return
        last = self.total_epochs * self.steps - 1
        for stream, target in self._entering():
            orders = self.neighbors.orders(last=self.step == last)
            pieces = split(stream, target, self.pieces)[self.own_pieces]
            del stream
            yield Step(pieces, target, orders)

    def _entering(self) -> Iterator[tuple[Stream, Target]]:
        if self.settings.cache_activations:
            if self.frozen is None or self.frozen.stop != self.entry:
                self.frozen = self._frozen_inputs()
            for stream, y in self.frozen.epoch(self.loader, self.epoch, start=self.step_in_epoch):
                yield stream, Target(y)
        else:
            for x, y in self.loader.epoch(self.epoch, start=self.step_in_epoch):
                yield self.stepper.enter(x, y, step=self.step)

    def _frozen_inputs(self) -> FrozenInputs:
        entering = None if self.frozen is None else self.frozen.entering(self.entry)
        self.frozen = None  # make room first
        read_out = reads_frozen_body(self.learner, self.turns[0])
        return FrozenInputs(self.trainer, self.data.train, stop=self.entry, read_out=read_out, entering=entering)

    def _set_learning_rate(self) -> None:
        for span in self.own_turns[self.step % len(self.own_turns)]:  # every span has a schedule over its own epochs
            window = span.window(self.epochs)
            step = self.step - self.first_step - window.start * self.steps
            value = self.settings.learning_rate_at(step, self.steps, len(window))
            for optimizer in self.trainer.optimizers[span.blocks]:
                optimizer.set_learning_rate(value)

    def _finish_epoch(self) -> EpochDone | None:
        started = time.perf_counter()
        losses = self.log.means(self.own_turns, range(self.step - self.step_in_epoch, self.step))
        self.epoch_seconds += time.perf_counter() - started
        self.check()
        check_finite(self.learner.state_dict(), f" after step {self.step}")
        self.train_seconds += self.epoch_seconds
        done = self._validated(losses) if self.neighbors.replica == 0 else None  # one replica is enough to evaluate
        self.epoch += 1
        self._begin_epoch()
        return done

    def _validated(self, losses: dict[int, float]) -> EpochDone | None:
        with self.trainer.averaged():
            accuracy = self.evaluator.validate(self.data.train, self.data.validation)
        memory, meter = peak_memory(self.learner.device)
        losses, memory = self.neighbors.meet(losses, memory)
        if not accuracy.by_rule:  # known at the last stage alone
            return None
        return EpochDone(
            epoch=self.epoch,
            losses=losses,
            validation_accuracy=accuracy.of_default_rule,
            block_accuracy=accuracy.by_block,
            images_per_second=per_second(self.step_in_epoch * self.loader.batch_size, self.epoch_seconds),
            train_seconds=self.train_seconds,
            peak_memory_bytes=memory,
            memory_meter=meter,
            task=self.learner.task,
        )


def stepper(trainer: LocalTrainer, neighbors: Neighbors | None = None) -> LocalTrainer | CapturedTrainer:
    """Return the trainer of a training's steps: captured, or compiled, if settings and device allow it.

    `neighbors` are the other processes that train a part of the learner, if any. Raises ValueError where the settings
    ask for compiled steps and none can be made; warns where captured ones cannot be.
    """
    device, neighbors = trainer.learner.device, neighbors or Alone()
    alone = neighbors.owned is None and neighbors.replicas == 1
    if trainer.settings.compile:
        check_compilable(device)
        if not alone:
            raise ValueError("compile makes the whole step of one process: leave it out, or train without a pipeline")
        return CapturedTrainer(trainer, CompiledPrograms())
    if trainer.settings.capture == "never":
        return trainer
    if not alone:
        if neighbors.first and neighbors.replica == 0:  # once in a pipeline
            warn_uncaptured(trainer.settings, "those of a pipeline wait for messages; leave capture out")
        return trainer
    if device.type not in ("cpu", "cuda"):
        warn_uncaptured(trainer.settings, f"{device.type} devices have no graphs here; leave capture out")
        return trainer
    return CapturedTrainer(trainer, CudaGraphs(device) if device.type == "cuda" else recorded_programs())


def per_second(count: int | float, seconds: float) -> float:
    """Return a rate; 0 if no time passed."""
    return count / seconds if seconds > 0 else 0.0


def _phases(learner: Learner, settings: TrainerSettings) -> list[Turns]:
    if settings.order == "joint":
        return [learner.turns]
    if len(learner.turns) > 1:
        raise ValueError("order cascade needs the same spans in every step; this learner's alternate: use order joint")
    if any(len(span.window(1000)) < 1000 for span in learner.spans):
        raise ValueError(
            "order cascade gives every span epochs of its own; this learner's have windows: use order joint"
        )
    return [((span,),) for span in learner.spans]


def own_turns(turns: Turns, owned: range) -> Turns:
    """Return the spans of every turn that lie in these blocks; no span may cross their border."""
    kept = tuple(tuple(span for span in turn if span.first in owned) for turn in turns)
    assert all(span.last in owned for turn in kept for span in turn)
    return kept


def end_block(turn: Sequence[Span], owned: range) -> int:
    """Return the block at which a step of these blocks stops: their end, or that of the last span of all blocks."""
    return max(owned.start, min(owned.stop, turn[-1].last + 1))


def _in_window(turns: Turns, epoch: int, epochs: int) -> Turns:
    """Return the spans of each turn that train in an epoch."""
    return tuple(tuple(span for span in turn if epoch in span.window(epochs)) for turn in turns)


def set_modes(learner: Learner, turns: Turns) -> None:
    """Put the blocks that are trained in some turn into training mode, and all others out of it.

    Running statistics that are means over all batches are updated also in blocks that no span ever trains.
    """
    trained, ever = _blocks(turns), _blocks(learner.turns)
    for k, block in enumerate(learner.blocks):
        block.train(k in trained)
        if k not in ever:
            follow_data(block)


def _blocks(turns: Turns) -> set[int]:
    return {k for turn in turns for span in turn for k in range(span.first, span.last + 1)}


def spot_of(notes: dict[str, Any], epochs: int, steps: int) -> tuple[int, int]:
    """Return epoch and step of a checkpoint. Raises ValueError for a spot outside of the training."""
    epoch, step = notes["epoch"], notes["step_in_epoch"]
    if not (0 <= epoch <= epochs and 0 <= step <= steps and min(notes["epoch_seconds"], notes["train_seconds"]) >= 0):
        raise ValueError(f"it is of epoch {epoch}, step {step}; this training has {epochs} epochs of {steps} steps")
    return epoch, step


def load_weights(trainer: LocalTrainer, tensors: dict[str, Tensor], blocks: range) -> None:
    """Load a learner and the optimizer state of `blocks`. Raises ValueError if they belong to another training."""
    try:
        trainer.learner.load_state_dict(_below("learner.", tensors))
    except RuntimeError as error:
        raise ValueError(f"the checkpoint does not fit this recipe: {str(error).splitlines()[0]}") from None
    for k in blocks:
        trainer.optimizers[k].load_state(_below(f"optimizer.{k}.", tensors))


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
