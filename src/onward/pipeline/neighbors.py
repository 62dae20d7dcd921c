"""The neighbors of a training that is one stage of a pipeline: links before and behind, replicas beside."""
# S spans trained in a step

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from jaxtyping import Float
from torch import Tensor

from onward.core import Learner, LocalTrainer
from onward.pipeline import (
    Message,
    Ranks,
    SharedOptimizer,
    add_up,
    greatest,
    see_whole_batch,
    step_content,
    step_message,
)
from onward.pipeline.evaluation import StageEvaluation
from onward.training.neighbors import Orders, Step


class StageNeighbors:
    """The other ranks of a pipeline, as the training loop of one rank uses them.

    `requested` is called by the first rank before each step: whether to save after it, and the signal to stop by; every
    rank does the same. A checkpoint is written before anything of that step is sent on, so that a stage knows that all
    stages before it have saved.
    """

    def __init__(self, ranks: Ranks, owned: range, *, requested: Callable[[], tuple[bool, int | None]]):
        self.ranks, self.requested = ranks, requested
        self.owned: range | None = owned
        self.replicas, self.replica, self.first, self.last = ranks.replicas, ranks.replica, ranks.first, ranks.last

    def attach(self, trainer: LocalTrainer) -> None:
        """Make blocks whose batches are split over replicas train on the whole of every batch."""
        if self.replicas > 1:
            optimizers: list[Any] = trainer.optimizers
            optimizers[:] = [SharedOptimizer(optimizer, self.ranks.peers) for optimizer in optimizers]
            see_whole_batch([trainer.learner.blocks[k] for k in self.owned or ()], self.ranks.peers)

    def through(self, learner: Learner) -> StageEvaluation:
        assert self.owned is not None
        return StageEvaluation(learner, self.ranks, self.owned)

    def working(self) -> AbstractContextManager:
        return self.ranks.watch.work.expected()

    def tick(self) -> None:
        self.ranks.watch.work.tick()

    def orders(self, *, last: bool) -> Orders:
        """Return what any replica of the first stage requests, so that all of them do it after the same step."""
        save, signal = self.requested()
        if self.replicas > 1:
            most, number = greatest([int(save), signal or 0], self.ranks.peers)
            save, signal = bool(most), number or None
        return Orders(save or last, signal)

    def receive(self, pieces: int, own: slice) -> Step:
        assert self.ranks.inbox is not None
        message = self.ranks.inbox.get("step")
        notes = message.notes
        return Step(*step_content(message, pieces, own), Orders(notes["save"], notes["signal"]))

    def hand_on(self, step: Step) -> None:
        if self.ranks.outbox is not None:
            self.ranks.outbox.put(step_message(step.pieces, step.target, step.orders._asdict()))

    def add_up(self, losses: Float[Tensor, "S"]) -> Float[Tensor, "S"]:
        if self.replicas > 1:
            add_up([losses], self.ranks.peers)
        return losses

    def meet(self, losses: dict[int, float], memory: int) -> tuple[dict[int, float], int]:
        if self.ranks.inbox is not None:
            before = self.ranks.inbox.get("epoch").notes
            losses = {block: loss for block, loss in before["losses"]} | losses
            memory = max(before["memory"], memory)
        if self.ranks.outbox is not None:
            self.ranks.outbox.put(Message("epoch", notes={"losses": list(losses.items()), "memory": memory}))
        return losses, memory
