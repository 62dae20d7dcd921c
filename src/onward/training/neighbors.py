"""Neighbors: the other stages and replicas of a training; a training in one process has none."""
# S spans trained in a step

from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from onward.core import Learner, LocalTrainer, Piece, Target
from onward.training.evaluation import Through


class Orders(NamedTuple):
    """Orders for all stages after a step: whether to save, and the signal by which to stop."""

    save: bool = False
    signal: int | None = None


NO_ORDERS = Orders()


class Stopped(Exception):
    """Every stage stopped after the same step, at the request of the first one."""

    def __init__(self, signal: int):
        super().__init__(f"stopped by signal {signal}")
        self.signal = signal


class Step(NamedTuple):
    """A batch that enters some blocks: its pieces, the target of all of them, and the orders after it."""

    pieces: list[Piece]
    target: Target
    orders: Orders


@runtime_checkable
class Neighbors(Protocol):
    """The other processes of a training, as its loop uses them.

    Blocks `owned` are trained here (None: all). Of every batch this process has share `replica` of `replicas`. Batches
    come from the loader where `first`; where `last`, no other process reads the output.
    """

    owned: range | None
    replicas: int
    replica: int
    first: bool
    last: bool

    def attach(self, trainer: LocalTrainer) -> None:
        """Make the owned blocks train on the whole of every batch, not on this replica's share."""

    def through(self, learner: Learner) -> Through | None:
        """Return the evaluation of blocks in other processes; None if all are in this one."""
        ...

    def working(self) -> AbstractContextManager:
        """Return a context in which a step must follow the previous one within a time limit."""
        ...

    def tick(self) -> None:
        """Note that a step begins."""

    def orders(self, *, last: bool) -> Orders:
        """Return the orders after the step that begins now; called in the `first` stage; `last`: for the last step."""
        ...

    def receive(self, pieces: int, own: slice) -> Step:
        """Return the next batch from the stage before, in `pieces` pieces, of which `own` belong to this process."""
        ...

    def hand_on(self, step: Step) -> None:
        """Send a batch to the next stage."""

    def add_up(self, losses: Float[Tensor, "S"]) -> Float[Tensor, "S"]:
        """Return the losses of the whole batch."""
        ...

    def meet(self, losses: dict[int, float], memory: int) -> tuple[dict[int, float], int]:
        """Return the losses of this stage and all before it in an epoch, and the most memory; send both to the next."""
        ...


class Alone:
    """No neighbors: one process trains all blocks on whole batches."""

    owned: range | None = None
    replicas, replica, first, last = 1, 0, True, True

    def attach(self, trainer: LocalTrainer) -> None:
        """Change nothing in the trainer."""

    def through(self, learner: Learner) -> Through | None:
        return None

    def working(self) -> AbstractContextManager:
        return nullcontext()

    def tick(self) -> None:
        """Do nothing."""

    def orders(self, *, last: bool) -> Orders:
        return NO_ORDERS

    def receive(self, pieces: int, own: slice) -> Step:
        raise AssertionError("nothing comes before")

    def hand_on(self, step: Step) -> None:
        """Do nothing: there is no next stage."""

    def add_up(self, losses: Float[Tensor, "S"]) -> Float[Tensor, "S"]:
        return losses

    def meet(self, losses: dict[int, float], memory: int) -> tuple[dict[int, float], int]:
        return losses, memory
