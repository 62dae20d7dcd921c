"""A training as an iterator: step after step, epoch after epoch, with its whole state at hand after each."""
# S spans trained in a step

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from onward.core import Learner, LocalTrainer, Stream, Target, TrainerSettings, Turns
from onward.data import Augmentation, Splits, TrainLoader
from onward.measure import peak_memory
from onward.runs.cascade import FrozenInputs, check_cacheable
from onward.runs.evaluation import Evaluator

_CHECK_EVERY = 50  # steps between looks at the losses: each look waits for the device


@dataclass(frozen=True)
class StepDone:
    """One batch of `images` was learned: step `step` of `steps` in an epoch."""

    epoch: int
    step: int
    steps: int
    images: int


@dataclass(frozen=True)
class EpochDone:
    """One epoch, validated: losses by the block that ends each span, accuracies as fractions, seconds, bytes."""

    epoch: int
    losses: dict[int, float]
    validation_accuracy: float
    block_accuracy: tuple[float, ...]
    images_per_second: float
    train_seconds: float
    peak_memory_bytes: int
    memory_meter: str


class Training:
    """Trains a learner on the training split and validates after each epoch; iterate over it to make it happen.

    Iterating again goes on where the iteration stopped; so does a new Training that loads the state of an old one.
    Joint order trains every span on every batch; cascade order gives each span `epochs` of its own, then freezes it.

    Raises ValueError when a loss is no longer finite, naming block and step.
    """

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
        if settings.channels_last:
            learner.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.learner, self.data, self.settings, self.epochs = learner, data, settings, epochs
        self.trainer = LocalTrainer(learner, settings, seed=seed)
        self.evaluator = Evaluator(learner, settings)
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
        while self.epoch < self.total_epochs:
            yield from self._steps()
            yield self._finish_epoch()

    def check(self) -> None:
        """Raise ValueError if a loss was not finite, naming the block and the step where that first happened."""
        for block, step in enumerate(self.first_bad.tolist()):
            if step >= 0:
                epoch = step // len(self.loader)
                raise ValueError(
                    f"the loss of block {block} is not finite since step {step} (epoch {epoch}); lower "
                    "the learning rate (--trainer.learning-rate) or clip gradients (--trainer.clip-norm 1)"
                )

    def finish(self) -> None:
        """Adopt averaged weights, if any, and fit every inference rule; call it once, after the last epoch."""
        self.trainer.adopt_average()
        self.evaluator.fit_rules(self.data.train, self.data.validation)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return all that the rest of the training depends on: tensors, and plain notes."""
        tensors = {f"learner.{name}": value for name, value in self.learner.state_dict().items()}
        for index, optimizer in enumerate(self.trainer.optimizers):
            tensors |= {f"optimizer.{index}.{name}": value for name, value in optimizer.state().items()}
        tensors |= {"loss_sum": self.loss_sum, "first_bad": self.first_bad}
        return tensors, {
            "epoch": self.epoch,
            "step_in_epoch": self.step_in_epoch,
            "epoch_seconds": self.epoch_seconds,
            "train_seconds": self.train_seconds,
        }

    def load_state(self, tensors: dict[str, Tensor], notes: dict[str, Any]) -> None:
        """Continue from what `state` returned. Raises ValueError if it belongs to another training."""
        try:
            self.learner.load_state_dict(_below("learner.", tensors))
        except RuntimeError as error:
            raise ValueError(f"the checkpoint does not fit this recipe: {str(error).splitlines()[0]}") from None
        for index, optimizer in enumerate(self.trainer.optimizers):
            optimizer.load_state(_below(f"optimizer.{index}.", tensors))
        self.epoch, self.step_in_epoch = notes["epoch"], notes["step_in_epoch"]
        self.epoch_seconds, self.train_seconds = notes["epoch_seconds"], notes["train_seconds"]
        self.loss_sum = tensors["loss_sum"].to(self.learner.device)
        self.first_bad = tensors["first_bad"].to(self.learner.device)

    def _begin_epoch(self) -> None:
        self.step_in_epoch = 0
        self.epoch_seconds = 0.0
        device = self.learner.device
        self.loss_sum = torch.zeros(len(self.learner.blocks), dtype=torch.float64, device=device)
        self.first_bad = torch.full_like(self.loss_sum, -1, dtype=torch.int64)

    def _steps(self) -> Iterator[StepDone]:
        self._set_modes()
        ends = [torch.tensor([span.last for span in turn], device=self.learner.device) for turn in self.turns]
        started = time.perf_counter()
        for stream, target, count in self._inputs():
            self._set_learning_rate()
            turn = self.step % len(self.turns)
            losses = self.trainer.update(stream, target, self.turns[turn], step=self.step, at=self._entry)
            self._note(losses, ends[turn])
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
        trained = {k for turn in self.turns for span in turn for k in range(span.first, span.last + 1)}
        for k, block in enumerate(self.learner.blocks):
            block.train(k in trained)

    def _set_learning_rate(self) -> None:
        steps, phase = len(self.loader), self.epoch // self.epochs * self.epochs
        for span in self.turns[self.step % len(self.turns)]:  # every span has a schedule over its own epochs
            window = span.window(self.epochs)
            step = self.step - (phase + window.start) * steps
            value = self.settings.learning_rate_at(step, steps, len(window))
            for optimizer in self.trainer.optimizers[span.blocks]:
                optimizer.set_learning_rate(value)

    def _note(self, losses: Float[Tensor, "S"], ends: Int64[Tensor, "S"]) -> None:
        self.loss_sum.index_add_(0, ends, losses.double())
        first = self.first_bad[ends]
        self.first_bad[ends] = torch.where(~torch.isfinite(losses) & (first < 0), self.step, first)

    def _mean_losses(self) -> dict[int, float]:
        """Return the mean loss of every block that ended a span in this epoch."""
        turns = [[span.last for span in self.turns[step % len(self.turns)]] for step in self._steps_of_epoch]
        counts = Counter(chain.from_iterable(turns))
        sums = self.loss_sum.tolist()  # waits for the device
        return {block: sums[block] / counts[block] for block in sorted(counts)}

    @property
    def _steps_of_epoch(self) -> range:
        return range(self.step - self.step_in_epoch, self.step)

    def _finish_epoch(self) -> EpochDone:
        started = time.perf_counter()
        losses = self._mean_losses()
        self.epoch_seconds += time.perf_counter() - started
        self.check()
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
            images_per_second=images / self.epoch_seconds,
            train_seconds=self.train_seconds,
            peak_memory_bytes=memory,
            memory_meter=meter,
        )
        self.epoch += 1
        self._begin_epoch()
        return report


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


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
