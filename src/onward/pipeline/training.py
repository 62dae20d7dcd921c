"""One rank's part of a training: its blocks learn from what the stage before hands on."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from onward.core import EpochDone, Learner, LocalTrainer, Piece, Target, TrainerSettings, gradients_on, split
from onward.data import Augmentation, Splits, TrainLoader
from onward.measure import peak_memory
from onward.pipeline import (
    Message,
    Ranks,
    SharedOptimizer,
    add_up,
    greatest,
    own_turns,
    reach,
    see_whole_batch,
    step_content,
    step_message,
)
from onward.pipeline.evaluation import StageEvaluation
from onward.training.loop import load_weights, per_second, set_modes, spot_of
from onward.training.losses import LossLog, ends_of

_CHECK_EVERY = 50  # steps between looks at the losses

Step = tuple[list[Piece], Target, dict[str, Any]]
"""A batch as it enters this stage: its pieces, its target, and the notes that travel with it."""


class StageStopped(Exception):
    """The first rank was asked to stop, and every stage has done so after the same step."""

    def __init__(self, signal: int):
        super().__init__(f"stopped by signal {signal}")
        self.signal = signal


class StageTraining:
    """Trains the blocks `owned` of a learner whose other blocks are elsewhere; iterate over it to make it happen.

    Every rank takes the same steps and looks at the same splits in the same order, each as soon as its input is there:
    the first is already in the next epoch while the last validates this one. The rank that writes yields an event per
    epoch. `save` is called after the steps that the first rank's `wish` names, with nothing of the step sent on yet,
    so that a stage knows that all before it have saved. `wish` tells whether to save, and the signal to stop by.
    """

    @gradients_on()
    def __init__(
        self,
        learner: Learner,
        data: Splits,
        settings: TrainerSettings,
        ranks: Ranks,
        owned: range,
        *,
        epochs: int,
        batch_size: int,
        seed: int,
        augmentation: Augmentation,
        wish: Callable[[], tuple[bool, int | None]],
        save: Callable[["StageTraining"], None],
    ):
        learner.laid_out(settings)
        self.learner, self.data, self.settings, self.ranks, self.owned = learner, data, settings, ranks, owned
        self.pieces = settings.micro_batches * ranks.replicas
        first_piece = settings.micro_batches * ranks.replica
        self.own_pieces = slice(first_piece, first_piece + settings.micro_batches)
        self.trainer = LocalTrainer(learner, settings, seed=seed, first_piece=first_piece)
        if ranks.replicas > 1:
            optimizers: list[Any] = self.trainer.optimizers
            optimizers[:] = [SharedOptimizer(optimizer, ranks.peers) for optimizer in optimizers]
            see_whole_batch([learner.blocks[k] for k in owned], ranks.peers)
        self.evaluation = StageEvaluation(learner, settings, ranks, owned, batch_size=batch_size)
        self.loader = TrainLoader(
            data.train,
            batch_size=batch_size,
            device=learner.device,
            augmentation=augmentation,
            seed=seed,
            own=self._own_rows(min(batch_size, len(data.train))),
        )
        self.turns, self.own = learner.turns, own_turns(learner.turns, owned)
        self.epochs, self.wish, self.save = epochs, wish, save
        self.epoch, self.train_seconds = 0, 0.0
        self._begin_epoch()

    @property
    def step(self) -> int:
        """Steps done since the start of the training."""
        return self.epoch * len(self.loader) + self.step_in_epoch

    def __iter__(self) -> Iterator[EpochDone]:
        while self.epoch < self.epochs:
            with gradients_on():
                with self.ranks.watch.work.expected():
                    self._steps()
                done = self._finish_epoch()
            if done is not None:
                yield done

    def state(self) -> tuple[dict[int, dict[str, Tensor]], dict[str, Tensor], dict[str, Any]]:
        """Return what the rest of the training depends on here: by owned block, the rest of the learner, and notes."""
        blocks = {k: self._block_state(k) for k in self.owned}
        state = self.learner.state_dict().items()
        rest = {f"learner.{name}": value for name, value in state if not name.startswith("blocks.")}
        notes = {
            "epoch": self.epoch,
            "step_in_epoch": self.step_in_epoch,
            "epoch_seconds": self.epoch_seconds,
            "train_seconds": self.train_seconds,
        }
        return blocks, rest, notes

    def load_state(self, tensors: dict[str, Tensor], notes: dict[str, Any]) -> None:
        """Continue from a checkpoint that holds at least the owned blocks. Raises ValueError if it does not fit."""
        load_weights(self.trainer, tensors, self.owned)
        self.epoch, self.step_in_epoch = spot_of(notes, self.epochs, len(self.loader))
        self.epoch_seconds, self.train_seconds = notes["epoch_seconds"], notes["train_seconds"]
        own = slice(self.owned.start, self.owned.stop)
        self.log.sum[own] = tensors["loss_sum"].to(self.log.sum)[own]
        self.log.first_bad[own] = tensors["first_bad"].to(self.log.first_bad)[own]

    def check(self) -> None:
        """Raise ValueError if a loss of an owned block was not finite."""
        self.log.check(len(self.loader))

    def _block_state(self, k: int) -> dict[str, Tensor]:
        tensors = {f"learner.blocks.{k}.{name}": value for name, value in self.learner.blocks[k].state_dict().items()}
        tensors |= {f"optimizer.{k}.{name}": value for name, value in self.trainer.optimizers[k].state().items()}
        return tensors | {f"loss_sum.{k}": self.log.sum[k], f"first_bad.{k}": self.log.first_bad[k]}

    def _own_rows(self, batch_size: int) -> slice | None:
        """Return the rows of every batch that this replica trains on; None if it needs to see the others as well."""
        if self.ranks.replicas == 1 or self.learner.supervision.mixes_images:
            return None
        share = batch_size // self.ranks.replicas  # even shares: check_replicas sees to it
        return slice(self.ranks.replica * share, (self.ranks.replica + 1) * share)

    def _begin_epoch(self) -> None:
        self.step_in_epoch = 0
        self.epoch_seconds = 0.0
        self.log = LossLog(len(self.learner.blocks), self.learner.device)

    def _steps(self) -> None:
        set_modes(self.learner, self.turns)
        ends, started = ends_of(self.own, self.learner.device), time.perf_counter()
        for pieces, target, notes in self._inputs():
            self.ranks.watch.work.moved()
            turn, step = self.step % len(self.turns), self.step
            self.trainer.set_learning_rate(self.settings.learning_rate_at(step, len(self.loader), self.epochs))
            stop = reach(self.turns[turn], self.owned)
            losses = self.trainer.update_pieces(pieces, self.own[turn], step=step, at=self.owned.start, stop=stop)
            if losses:
                self.log.note(self._of_all_replicas(torch.stack(losses)), ends[turn], step)
            self.step_in_epoch += 1
            self.epoch_seconds += time.perf_counter() - started
            if self.step_in_epoch % _CHECK_EVERY == 0:
                self.check()
            if notes["save"]:
                self.check()  # a checkpoint must be a good one
                self.save(self)
            if self.ranks.outbox is not None:
                if stop < self.owned.stop:  # no span of this step lies behind
                    pieces = [piece._replace(stream=()) for piece in pieces]
                self.ranks.outbox.put(step_message(pieces, target, notes))
            del pieces
            if notes["signal"] is not None:
                raise StageStopped(notes["signal"])
            started = time.perf_counter()

    def _inputs(self) -> Iterator[Step]:
        if self.ranks.inbox is not None:
            for _ in range(self.step_in_epoch, len(self.loader)):
                yield self._received(self.ranks.inbox.get("step"))
            return
        for x, y in self.loader.epoch(self.epoch, start=self.step_in_epoch):
            save, signal = self._agreed(*self.wish())
            save = save or self.step + 1 == self.epochs * len(self.loader)
            stream, target = self.trainer.enter(x, y, step=self.step)
            pieces = split(stream, target, self.pieces)[self.own_pieces]
            del x, stream
            yield pieces, target, {"save": save, "signal": signal}

    def _received(self, message: Message) -> Step:
        pieces, target = step_content(message, self.pieces, self.own_pieces)
        return pieces, target, {name: message.notes[name] for name in ("save", "signal")}

    def _agreed(self, save: bool, signal: int | None) -> tuple[bool, int | None]:
        """Return what any replica of the first stage wishes, for all of them to do after the same step."""
        if self.ranks.replicas == 1:
            return save, signal
        most, number = greatest([int(save), signal or 0], self.ranks.peers)
        return bool(most), number or None

    def _of_all_replicas(self, losses: Tensor) -> Tensor:
        if self.ranks.replicas > 1:
            add_up([losses], self.ranks.peers)
        return losses

    def _finish_epoch(self) -> EpochDone | None:
        started = time.perf_counter()
        steps = range(self.step - self.step_in_epoch, self.step)
        losses = self.log.means(self.own, steps)
        self.epoch_seconds += time.perf_counter() - started
        self.check()
        if self.ranks.replica:  # one of them is enough to evaluate
            self.epoch += 1
            self.train_seconds += self.epoch_seconds
            self._begin_epoch()
            return None
        with self.trainer.averaged():
            accuracy = self.evaluation.validate(self.data)
        self.train_seconds += self.epoch_seconds
        memory, meter = peak_memory(self.learner.device)
        notes: dict[str, Any] = {"losses": list(losses.items()), "memory": memory}
        if self.ranks.inbox is not None:
            before = self.ranks.inbox.get("epoch").notes
            notes = {
                "losses": before["losses"] + notes["losses"],
                "memory": max(before["memory"], memory),
            }
        if self.ranks.outbox is not None:
            self.ranks.outbox.put(Message("epoch", notes=notes))
        done = None
        if accuracy is not None:
            done = EpochDone(
                epoch=self.epoch,
                losses={block: loss for block, loss in notes["losses"]},
                validation_accuracy=accuracy.headline,
                block_accuracy=accuracy.by_block,
                images_per_second=per_second(self.step_in_epoch * self.loader.batch_size, self.epoch_seconds),
                train_seconds=self.train_seconds,
                peak_memory_bytes=notes["memory"],
                memory_meter=meter,
            )
        self.epoch += 1
        self._begin_epoch()
        return done
