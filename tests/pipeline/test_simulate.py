"""The recurrence of the simulator against workers, senders and receivers that wake each other, event by event."""

import heapq
import math
from collections import deque
from collections.abc import Generator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.pipeline.simulate import LinkSpeed, simulate


class _Queue:
    """A bounded queue between processes of the naive simulation."""

    def __init__(self):
        self.items, self.getters, self.putters = deque(), deque(), deque()


class _World:
    """Runs processes that yield ("sleep", seconds), ("put", queue, item) or ("get", queue)."""

    def __init__(self):
        self.now, self.events, self.number = 0.0, [], 0

    def start(self, process: Generator[Any, Any, None]) -> None:
        self._at(0.0, process, None)

    def run(self) -> None:
        while self.events:
            self.now, _, process, value = heapq.heappop(self.events)
            self._go_on(process, value)

    def _at(self, when: float, process: Generator[Any, Any, None], value: Any) -> None:
        self.number += 1
        heapq.heappush(self.events, (when, self.number, process, value))

    def _go_on(self, process: Generator[Any, Any, None], value: Any) -> None:
        try:
            what, *rest = process.send(value)
        except StopIteration:
            return
        if what == "sleep":
            self._at(self.now + rest[0], process, None)
        elif what == "put":
            rest[0].putters.append((process, rest[1]))
            self._settle(rest[0])
        else:
            rest[0].getters.append(process)
            self._settle(rest[0])

    def _settle(self, queue: _Queue) -> None:
        moved = True
        while moved:
            moved = False
            if queue.putters and not queue.items:  # room for one
                process, item = queue.putters.popleft()
                queue.items.append(item)
                self._at(self.now, process, None)
                moved = True
            if queue.getters and queue.items:
                self._at(self.now, queue.getters.popleft(), queue.items.popleft())
                moved = True


def _naive(costs: list[float], transfers: list[float], steps: int) -> list[list[float]]:
    """When each stage has handed on each step: a thread computes, one sends, one receives, with queues of one."""
    world, handed_on = _World(), [[] for _ in costs]
    out = [_Queue() for _ in transfers]  # waits to be sent
    wire = [_Rendezvous(world) for _ in transfers]
    arrived = [_Queue() for _ in transfers]  # waits to be worked on

    def worker(s: int) -> Generator[Any, Any, None]:
        for n in range(steps):
            if s:
                yield "get", arrived[s - 1]
            yield "sleep", costs[s]
            if s < len(transfers):
                yield "put", out[s], n
            handed_on[s].append(world.now)

    def sender(s: int) -> Generator[Any, Any, None]:
        for n in range(steps):
            yield "get", out[s]
            yield "put", wire[s].offered, n
            yield "get", wire[s].done

    def receiver(s: int) -> Generator[Any, Any, None]:
        for n in range(steps):
            yield "get", wire[s].offered
            yield "sleep", transfers[s]
            yield "put", wire[s].done, n
            yield "put", arrived[s], n

    for s in range(len(costs)):
        world.start(worker(s))
    for s in range(len(transfers)):
        world.start(sender(s))
        world.start(receiver(s))
    world.run()
    return handed_on


class _Rendezvous:
    """A message on its way: offered by the sender, done when the receiver has it."""

    def __init__(self, world: _World):
        self.offered, self.done = _Queue(), _Queue()


_times = st.floats(0.01, 5.0)


@given(st.integers(1, 6).flatmap(lambda s: st.tuples(st.lists(_times, min_size=s, max_size=s), st.just(s))), st.data())
def test_it_is_the_event_by_event_simulation(case, data):
    costs, stages = case
    transfers = data.draw(st.lists(_times, min_size=stages - 1, max_size=stages - 1))
    steps = data.draw(st.integers(1, 12))
    prediction = simulate(costs, transfers, LinkSpeed(bandwidth=1.0), steps)
    for ours, theirs in zip(prediction.handed_on, _naive(costs, transfers, steps), strict=True):
        assert list(ours) == pytest.approx(theirs)


def test_equal_stages_and_fast_links_give_the_ideal():
    prediction = simulate([1.0] * 4, [0.0] * 3, LinkSpeed(bandwidth=1.0), 1000)
    assert prediction.total == pytest.approx(1003) and prediction.step == 1.0 and prediction.filling == 3
    assert prediction.utilization == (1.0,) * 4


def test_once_filled_a_step_takes_as_long_as_the_slowest_stage_or_link():
    prediction = simulate([1.0, 3.0, 2.0], [4e9, 1e9], LinkSpeed(bandwidth=1e9, latency=0.5), 50)
    steps = [b - a for a, b in pairwise(prediction.handed_on[-1][20:])]
    assert prediction.step == 4.5 and steps == pytest.approx([4.5] * len(steps))
    assert prediction.utilization == pytest.approx((1 / 4.5, 3 / 4.5, 2 / 4.5))


def test_thousands_of_stages_are_predicted():
    prediction = simulate([1e-3] * 2000, [1e6] * 1999, LinkSpeed(bandwidth=1e10, latency=1e-5), 20)
    assert prediction.filling == pytest.approx(1999 * (1e-3 + 1e-4 + 1e-5))


@pytest.mark.parametrize(("bandwidth", "latency"), [(0.0, 0.0), (-1.0, 0.0), (1.0, -0.1), (math.nan, 0.0)])
def test_impossible_wires_are_refused(bandwidth: float, latency: float):
    with pytest.raises(ValueError, match=r"(bandwidth|latency) of LinkSpeed must be a finite number"):
        LinkSpeed(bandwidth, latency)


def test_numbers_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="2 stages need positive costs, 1 links"):
        simulate([1.0, 1.0], [], LinkSpeed(1.0), 3)


@pytest.mark.parametrize("replicas", [1, 2, 5])
def test_replicas_add_up_in_a_ring_message_by_message(replicas: int):
    wires, seconds = LinkSpeed(bandwidth=100.0, latency=0.5), 0.0
    for _scattered_then_gathered in range(2):
        for _step in range(replicas - 1):  # everyone sends one share to its neighbor at the same time
            seconds += 0.5 + (1000 / replicas) / 100.0
    assert wires.adding_up(1000, replicas) == pytest.approx(seconds)
