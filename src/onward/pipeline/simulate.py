"""Simulation of a pipeline: start and end of each step of each stage, from the costs of its blocks."""

from collections.abc import Sequence
from dataclasses import dataclass

from onward.core import NonNegative, Positive, check_fields


@dataclass(frozen=True)
class LinkSpeed:
    """The speed of a link between two stages. Raises ValueError for an impossible bandwidth or latency."""

    bandwidth: Positive
    """Bytes per second."""
    latency: NonNegative = 0.0
    """Seconds before the first byte of a message arrives."""

    def __post_init__(self):
        check_fields(self)

    def seconds(self, sent: float | int) -> float:
        """Return the seconds that a message of this many bytes takes."""
        return self.latency + sent / self.bandwidth

    def adding_up(self, amount: float | int, replicas: int) -> float:
        """Return the seconds of an all-reduce of this many bytes over replicas, as a ring: every share goes around
        twice."""
        return 2 * (replicas - 1) * self.seconds(amount / replicas)


@dataclass(frozen=True)
class Prediction:
    """Predicted seconds of a training, and the share of them in which each stage computes."""

    total: float
    """Seconds from the first step's begin to the last step's end, filling and draining included."""
    step: float
    """Seconds per step once the pipeline is filled: the slowest stage, or the slowest link."""
    filling: float
    """Seconds until the last stage begins its first step."""
    utilization: tuple[float, ...]
    """Busy share of each stage once the pipeline is filled."""
    handed_on: tuple[tuple[float, ...], ...]
    """By stage: the time at which it had sent each step's output; of the last stage, at which it had finished."""


def simulate(costs: Sequence[float], sent: Sequence[float | int], wires: LinkSpeed, steps: int) -> Prediction:
    """Predict `steps` steps of a pipeline; `costs` are seconds by stage, `sent[s]` bytes from stage s to the next.

    Nothing is sent back, so step n of a stage waits for three things: its own step n - 1, the message of step n from
    the stage before, and room for its output. A link holds one message in transfer and one waiting on each side, as
    the real one does. O(stages x steps). Raises ValueError for numbers that do not fit each other.
    """
    if len(sent) != len(costs) - 1 or steps < 1 or min(costs, default=0) <= 0:
        raise ValueError(f"{len(costs)} stages need positive costs, {len(costs) - 1} links and at least one step")
    links = [_Link(wires.seconds(amount)) for amount in sent]
    freed = [0.0] * len(costs)  # when each stage has handed on its last step, and may take the next
    begun, times = 0.0, [[] for _ in costs]
    for number in range(steps):
        for s, cost in enumerate(costs):
            taken = links[s - 1].take(freed[s]) if s else freed[s]
            if s == len(costs) - 1 and number == 0:
                begun = taken
            freed[s] = links[s].put(taken + cost) if s < len(costs) - 1 else taken + cost
            times[s].append(freed[s])
    step = max([*costs, *(link.seconds for link in links)])
    return Prediction(freed[-1], step, begun, tuple(cost / step for cost in costs), tuple(map(tuple, times)))


class _Link:
    """The times at which the messages of one link are queued, sent, received and taken."""

    def __init__(self, seconds: float):
        self.seconds = seconds
        self._sending = 0.0  # when the last message left the sender's queue
        self._sent = 0.0  # when it had arrived
        self._arrived = 0.0  # when it entered the receiver's queue
        self._taken = 0.0  # when the last message was taken

    def put(self, ready: float) -> float:
        """Return the time at which a ready message enters the queue, after the one before has left it."""
        put = max(ready, self._sending)
        self._sending = max(put, self._sent)
        self._sent = max(self._sending, self._arrived) + self.seconds
        self._arrived = self._sent  # unless the receiver's queue is still full, which `take` accounts for
        return put

    def take(self, free: float) -> float:
        """Return the time at which a stage that is free from `free` on has the message."""
        self._arrived = max(self._arrived, self._taken)
        self._taken = max(self._arrived, free)
        return self._taken
