"""One loop: alone, and as a stage of a pipeline, here one stage after the other in one process, joined by lists."""
# S spans trained in a step

import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest
import torch
from torch import Tensor

from onward.core import Evidence, Learner, LocalTrainer
from onward.data import Source
from onward.training import EpochDone, StepDone, Training
from onward.training.evaluation import Through
from onward.training.neighbors import Alone, Neighbors, Orders, Step, Stopped


class _Unseen:
    """Evaluates nothing: images do not come to their end here."""

    last = False

    def collect(
        self, images: Source, *, handed_on: bool, batch_size: int, watch: Callable
    ) -> list[tuple[Evidence, Tensor]]:
        return []


class _Listed:
    """A stage whose input lies in a list, and whose output goes into another."""

    def __init__(self, owned: range, before: list[Step] | None, behind: list[Step] | None, orders: dict[int, Orders]):
        self.owned: range | None = owned
        self.replicas, self.replica = 1, 0
        self.before, self.behind = before, behind
        self.first, self.last = before is None, behind is None
        self.told, self.asked, self.met = orders, 0, []

    def attach(self, trainer: LocalTrainer) -> None: ...

    def through(self, learner: Learner) -> Through:
        return _Unseen()

    def working(self) -> AbstractContextManager:
        return nullcontext()

    def tick(self) -> None: ...

    def orders(self, *, last: bool) -> Orders:
        self.asked += 1
        return self.told.get(self.asked, Orders(save=last))

    def receive(self, pieces: int, own: slice) -> Step:
        assert self.before is not None
        return self.before.pop(0)

    def hand_on(self, step: Step) -> None:
        if self.behind is not None:
            self.behind.append(step._replace(pieces=[*step.pieces]))

    def add_up(self, losses: Tensor) -> Tensor:
        return losses

    def meet(self, losses: dict[int, float], memory: int) -> tuple[dict[int, float], int]:
        self.met.append(losses)
        return losses, memory


def _weights(training: Training, blocks: range) -> list[Tensor]:
    return [value for k in blocks for value in training.learner.blocks[k].state_dict().values()]


def _staged(make_training, orders: dict[int, Orders], **settings) -> tuple[Training, list[StepDone | EpochDone], int]:
    """Train the blocks from 2 on, from what a training of the two before has handed on."""
    alone = make_training(**settings)
    count, wire = len(alone.learner.blocks), []
    for owned, before, behind in ((range(2), None, wire), (range(2, count), wire, None)):
        training = make_training(**settings, neighbors=_Listed(owned, before, behind, orders))
        events = []
        try:
            for event in training:
                events.append(event)
        except Stopped as stop:
            events.append(stop.signal)
    return training, events, count


@pytest.mark.parametrize("micro_batches", [1, 2])
def test_stage_after_stage_trains_the_bits_of_one_process(make_training, micro_batches: int):
    settings = {"micro_batches": micro_batches, "ema_decay": 0.9}
    alone = make_training(**settings)
    done = [event for event in alone if isinstance(event, EpochDone)]
    last, events, count = _staged(make_training, {}, **settings)
    own = range(2, count)
    assert count > 2
    assert all(torch.equal(a, b) for a, b in zip(_weights(last, own), _weights(alone, own), strict=True))
    assert isinstance(last.neighbors, _Listed)
    assert last.neighbors.met == [{k: e.losses[k] for k in own} for e in done]
    assert [event.orders.save for event in events if isinstance(event, StepDone)] == [False] * (len(events) - 1) + [
        True
    ]


def test_what_one_stage_is_told_all_do_after_the_same_step(make_training):
    training, events, _ = _staged(make_training, {3: Orders(save=True, signal=signal.SIGTERM)})
    assert events[-1] == signal.SIGTERM
    assert training.step == len(events) - 1 == 3
    assert isinstance(events[-2], StepDone) and events[-2].orders == Orders(save=True, signal=signal.SIGTERM)


def test_the_state_of_a_stage_holds_its_own_blocks_and_loads_into_them(make_training):
    training, *_ = _staged(make_training, {3: Orders(save=True, signal=signal.SIGTERM)})
    tensors, notes = training.state()
    assert not any(name.startswith(("optimizer.0.", "optimizer.1.")) for name in tensors)
    other = make_training(neighbors=_Listed(training.owned, [], None, {}))
    other.load_state(tensors, notes)
    assert (other.epoch, other.step_in_epoch, other.step) == (training.epoch, training.step_in_epoch, training.step)
    again = other.state()[0]
    assert all(torch.equal(tensors[name], again[name]) for name in tensors)


def test_alone_is_a_neighborhood_too():
    assert isinstance(Alone(), Neighbors)
    with pytest.raises(AssertionError, match="nothing comes before"):
        Alone().receive(1, slice(0, 1))
