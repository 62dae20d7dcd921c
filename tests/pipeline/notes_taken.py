"""What a test has a rank note: when it took each step, and the most memory it held; and blocks of known duration.

All of it is ordered by the rank's environment: SLEEP (seconds of each block), TIMES and MEMORY (files to write).
"""

import json
import os
import threading
import time
import weakref
from pathlib import Path

import torch
from torch import nn

from onward.measure import MemoryMeter
from onward.nets import MLP
from onward.nets.net import Net
from onward.pipeline import links
from onward.training import Training


def take() -> None:
    """Arrange for what the environment orders."""
    if "SLEEP" in os.environ:
        fall_asleep([float(seconds) for seconds in os.environ["SLEEP"].split()])
    if "TIMES" in os.environ:
        _note_times(Path(os.environ["TIMES"]))
    if "MEMORY" in os.environ:
        _note_memory(Path(os.environ["MEMORY"]))


def fall_asleep(seconds: list[float], set_attribute=setattr) -> None:
    """Let each layer of every MLP that is built from now on take so long in training; it needs no processor for it."""
    build = MLP.__call__

    def sleepy(self: MLP, *shape) -> Net:
        net = build(self, *shape)
        for duration, body in zip(seconds, net.bodies, strict=True):
            body.register_forward_hook(_sleep(duration))  # a hook leaves the names of weights as they are
        return net

    set_attribute(MLP, "__call__", sleepy)


def _sleep(seconds: float):
    def hook(body: nn.Module, *_: object) -> None:
        if body.training and torch.is_grad_enabled():
            time.sleep(seconds)

    return hook


def _note_times(path: Path) -> None:
    inputs = Training._inputs

    def timed(self: Training):
        times = []
        for item in inputs(self):
            times.append(time.perf_counter())
            yield item
        path.write_text(json.dumps([*times, time.perf_counter()]))

    Training._inputs = timed


def _note_memory(path: Path) -> None:
    """Note, for each epoch, what a meter sees this stage hold at most, and the bytes received but not yet let go."""
    steps, epochs = Training._steps, []
    received = _Received()

    def metered(self: Training):
        received.peak = received.alive
        with MemoryMeter(self.trainer) as meter:  # torch's modes are left in the order in which they were entered
            done = list(steps(self))
        epochs.append({"peak": meter.peak, **meter.by_category, "received": received.peak})
        path.write_text(json.dumps(epochs))
        yield from done

    Training._steps = metered


class _Received:
    """Counts the memory that is made for messages to come, by whichever thread, until it is freed."""

    def __init__(self):
        self.alive, self.peak, self._lock = 0, 0, threading.RLock()
        self._room_for = links.room_for
        links.room_for = self

    def __call__(self, described: dict) -> list[torch.Tensor]:
        memory = self._room_for(described)
        for piece in memory:
            self._add(piece.nbytes)
            weakref.finalize(piece.untyped_storage(), self._add, -piece.nbytes)
        return memory

    def _add(self, size: int) -> None:
        with self._lock:
            self.alive += size
            self.peak = max(self.peak, self.alive)
