"""Neighbors: what stands before, behind and beside the blocks that a training owns; alone there is nothing."""
# S spans trained in a step

from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from onward.core import Learner, LocalTrainer, Piece, Target
from onward.training.evaluation import Through


class Orders(NamedTuple):
    """What every stage does after a step: whether it saves, and the signal that it stops by."""

    save: bool = False
    signal: int | None = None


NO_ORDERS = Orders()


class Stopped(Exception):
    """The first stage was asked to stop, and every stage has done so after the same step."""

    def __init__(self, signal: int):
        super().__init__(f"stopped by signal {signal}")
        self.signal = signal


class Step(NamedTuple):
    """A batch as it enters some blocks: its pieces, the target of all of them, and what is done after it."""

    pieces: list[Piece]
    target: Target
    orders: Orders


@runtime_checkable
class Neighbors(Protocol):
    """The other processes of a training, as its loop sees them.

    Blocks `owned` are trained here (None: all). Of every batch this process has share `replica` of `replicas`. Batches
    come from the loader where `first`; nothing reads what is handed on where `last`.
    """

    owned: range | None
    replicas: int
    replica: int
    first: bool
    last: bool

    def attach(self, trainer: LocalTrainer) -> None:
        """Let the owned blocks learn from the whole of every batch."""

    def through(self, learner: Learner) -> Through | None:
        """Return how images of an evaluation get past blocks that are elsewhere; None if all are here."""
        ...

    def working(self) -> AbstractContextManager:
        """Open the stretch in which step follows on step."""
        ...

    def tick(self) -> None:
        """A step begins."""

    def orders(self, *, last: bool) -> Orders:
        """Return what all stages do after the step that begins now; asked where `first`, of the `last` step as well."""
        ...

    def receive(self, pieces: int, own: slice) -> Step:
        """Return the next batch from the stage before, which has that many pieces, and `own` of them here."""
        ...

    def hand_on(self, step: Step) -> None:
        """Give a batch to the stage behind."""

    def add_up(self, losses: Float[Tensor, "S"]) -> Float[Tensor, "S"]:
        """Return the losses of the whole batch."""
        ...

    def meet(self, losses: dict[int, float], memory: int) -> tuple[dict[int, float], int]:
        """Return the losses of this stage and all before it in an epoch, and the most memory; the next hears of it."""
        ...


class Alone:
    """No neighbors: one process trains all blocks on whole batches."""

    owned: range | None = None
    replicas, replica, first, last = 1, 0, True, True

    def attach(self, trainer: LocalTrainer) -> None:
        """Leave the trainer as it is."""

    def through(self, learner: Learner) -> Through | None:
        return None

    def working(self) -> AbstractContextManager:
        return nullcontext()

    def tick(self) -> None:
        """Nobody watches."""

    def orders(self, *, last: bool) -> Orders:
        return NO_ORDERS

    def receive(self, pieces: int, own: slice) -> Step:
        raise AssertionError("nothing stands before")

    def hand_on(self, step: Step) -> None:
        """Nothing stands behind."""

    def add_up(self, losses: Float[Tensor, "S"]) -> Float[Tensor, "S"]:
        return losses

    def meet(self, losses: dict[int, float], memory: int) -> tuple[dict[int, float], int]:
        return losses, memory
