"""A training as an iterator: step after step, epoch after epoch, with its whole state at hand after each."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from onward.core import EpochDone, Learner, LocalTrainer, Stream, Target, TrainerSettings, Turns, gradients_on
from onward.data import Augmentation, Splits, TrainLoader
from onward.measure import peak_memory
from onward.parts.body.frozen import follow_data
from onward.training.cascade import FrozenInputs, check_cacheable
from onward.training.evaluation import Evaluator
from onward.training.finite import check_finite
from onward.training.losses import LossLog, ends_of

_CHECK_EVERY = 50  # steps between looks at the losses: each look waits for the device


@dataclass(frozen=True)
class StepDone:
    """One batch of `images` was learned: step `step` of `steps` in an epoch."""

    epoch: int
    step: int
    steps: int
    images: int


class Training:
    """Trains a learner on the training split and validates after each epoch; iterate over it to make it happen.

    Iterating again goes on where the iteration stopped; so does a new Training that loads the state of an old one.
    Joint order trains every span on every batch; cascade order gives each span `epochs` of its own, then freezes it.

    Raises ValueError when a loss is no longer finite, naming block and step.
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
    ):
        augmentation = augmentation or Augmentation()
        if settings.cache_activations:
            check_cacheable(learner, augmentation)
        learner.laid_out(settings)
        self.learner, self.data, self.settings, self.epochs = learner, data, settings, epochs
        self.trainer = LocalTrainer(learner, settings, seed=seed)
        self.evaluator = Evaluator(learner, settings, batch_size=batch_size)
        self.loader = TrainLoader(
            data.train, batch_size=batch_size, device=learner.device, augmentation=augmentation, seed=seed
        )
        self.phases = _phases(learner, settings)
        self.frozen: FrozenInputs | None = None
        self.epoch = 0
        self.train_seconds = 0.0
        self._begin_epoch()

    @property
    def total_epochs(self) -> int:
        return self.epochs * len(self.phases)

    @property
    def step(self) -> int:
        """Steps done since the start of the training."""
        return self.epoch * len(self.loader) + self.step_in_epoch

    @property
    def turns(self) -> Turns:
        """The spans that the steps of this epoch train, in turn."""
        phase = self.phases[min(self.epoch // self.epochs, len(self.phases) - 1)]
        now = min(self.epoch % self.epochs, self.epochs - 1)
        return tuple(tuple(span for span in turn if now in span.window(self.epochs)) for turn in phase)

    def __iter__(self) -> Iterator[StepDone | EpochDone]:
        events = self._events()
        while True:
            with gradients_on():  # around our own work, not around the caller's
                event = next(events, None)
            if event is None:
                return
            yield event

    def _events(self) -> Iterator[StepDone | EpochDone]:
        while self.epoch < self.total_epochs:
            yield from self._steps()
            yield self._finish_epoch()

    def check(self) -> None:
        """Raise ValueError if a loss was not finite, naming the block and the step where that first happened."""
        self.log.check(len(self.loader))

    @gradients_on()
    def finish(self) -> None:
        """Adopt averaged weights, if any, and fit every inference rule; call it once, after the last epoch."""
        self.trainer.adopt_average()
        check_finite(self.learner.state_dict(), f" after step {self.step}")
        self.evaluator.fit_rules(self.data.train, self.data.validation)
        check_finite(self.learner.state_dict(), " after its rules were fitted")

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return all that the rest of the training depends on: tensors, and plain notes."""
        tensors = {f"learner.{name}": value for name, value in self.learner.state_dict().items()}
        for index, optimizer in enumerate(self.trainer.optimizers):
            tensors |= {f"optimizer.{index}.{name}": value for name, value in optimizer.state().items()}
        tensors |= {"loss_sum": self.log.sum, "first_bad": self.log.first_bad}
        return tensors, {
            "epoch": self.epoch,
            "step_in_epoch": self.step_in_epoch,
            "epoch_seconds": self.epoch_seconds,
            "train_seconds": self.train_seconds,
        }

    @gradients_on()
    def load_state(self, tensors: dict[str, Tensor], notes: dict[str, Any]) -> None:
        """Continue from what `state` returned. Raises ValueError if it belongs to another training."""
        load_weights(self.trainer, tensors, range(len(self.learner.blocks)))
        self.epoch, self.step_in_epoch = spot_of(notes, self.total_epochs, len(self.loader))
        self.epoch_seconds, self.train_seconds = notes["epoch_seconds"], notes["train_seconds"]
        self.log.sum = tensors["loss_sum"].to(self.learner.device)
        self.log.first_bad = tensors["first_bad"].to(self.learner.device)

    def _begin_epoch(self) -> None:
        self.step_in_epoch = 0
        self.epoch_seconds = 0.0
        self.log = LossLog(len(self.learner.blocks), self.learner.device)

    def _steps(self) -> Iterator[StepDone]:
        self._set_modes()
        ends = ends_of(self.turns, self.learner.device)
        started = time.perf_counter()
        for stream, target, count in self._inputs():
            self._set_learning_rate()
            turn = self.step % len(self.turns)
            losses = self.trainer.update(stream, target, self.turns[turn], step=self.step, at=self._entry)
            self.log.note(losses, ends[turn], self.step)
            self.step_in_epoch += 1
            self.epoch_seconds += time.perf_counter() - started  # the caller's time is not ours
            if self.step_in_epoch % _CHECK_EVERY == 0:
                self.check()
            yield StepDone(self.epoch, self.step_in_epoch, len(self.loader), count)
            started = time.perf_counter()

    def _inputs(self) -> Iterator[tuple[Stream, Target, int]]:
        if self.settings.cache_activations:
            if self.frozen is None or self.frozen.stop != self._entry:
                self.frozen = None  # make room first
                self.frozen = FrozenInputs(self.trainer, self.data.train, stop=self._entry)
            for stream, y in self.frozen.epoch(self.loader, self.epoch, start=self.step_in_epoch):
                yield stream, Target(y), len(y)
        else:
            for x, y in self.loader.epoch(self.epoch, start=self.step_in_epoch):
                yield *self.trainer.enter(x, y, step=self.step), len(y)

    @property
    def _entry(self) -> int:
        """The block that the inputs of this epoch enter."""
        return self.turns[0][0].first if self.settings.cache_activations else 0

    def _set_modes(self) -> None:
        set_modes(self.learner, self.turns)

    def _set_learning_rate(self) -> None:
        steps, phase = len(self.loader), self.epoch // self.epochs * self.epochs
        for span in self.turns[self.step % len(self.turns)]:  # every span has a schedule over its own epochs
            window = span.window(self.epochs)
            step = self.step - (phase + window.start) * steps
            value = self.settings.learning_rate_at(step, steps, len(window))
            for optimizer in self.trainer.optimizers[span.blocks]:
                optimizer.set_learning_rate(value)

    @property
    def _steps_of_epoch(self) -> range:
        return range(self.step - self.step_in_epoch, self.step)

    def _finish_epoch(self) -> EpochDone:
        started = time.perf_counter()
        losses = self.log.means(self.turns, self._steps_of_epoch)
        self.epoch_seconds += time.perf_counter() - started
        self.check()
        check_finite(self.learner.state_dict(), f" after step {self.step}")
        with self.trainer.averaged():
            accuracy = self.evaluator.validate(self.data.train, self.data.validation)
        self.train_seconds += self.epoch_seconds
        memory, meter = peak_memory(self.learner.device)
        images = self.step_in_epoch * self.loader.batch_size
        report = EpochDone(
            epoch=self.epoch,
            losses=losses,
            validation_accuracy=accuracy.headline,
            block_accuracy=accuracy.by_block,
            images_per_second=per_second(images, self.epoch_seconds),
            train_seconds=self.train_seconds,
            peak_memory_bytes=memory,
            memory_meter=meter,
        )
        self.epoch += 1
        self._begin_epoch()
        return report


def per_second(count: int | float, seconds: float) -> float:
    """Return a rate; 0 where no time passed, as by a clock that stands still."""
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


def set_modes(learner: Learner, turns: Turns) -> None:
    """Put the blocks that are trained in some turn into training mode, and all others out of it.

    Of blocks that no span ever trains, running statistics that are means over all batches follow the data.
    """
    trained, ever = _blocks(turns), _blocks(learner.turns)
    for k, block in enumerate(learner.blocks):
        block.train(k in trained)
        if k not in ever:
            follow_data(block)


def _blocks(turns: Turns) -> set[int]:
    return {k for turn in turns for span in turn for k in range(span.first, span.last + 1)}


def spot_of(notes: dict[str, Any], epochs: int, steps: int) -> tuple[int, int]:
    """Return epoch and step of a checkpoint. Raises ValueError for a spot that the training does not pass."""
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
