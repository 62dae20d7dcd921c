"""Faults that a test makes in a rank, named in its environment."""

import os
import signal
from dataclasses import replace
from pathlib import Path

from onward.runs import checkpoints, pipelined
from onward.runs.stage_training import StageTraining


def make() -> None:
    """Arrange for the fault that FAULT names, such as `kill 5`: at step 5."""
    name, _, number = os.environ.get("FAULT", "").partition(" ")
    if os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0":
        return
    if name == "code":
        pipelined._source_digest = lambda: "another"
    elif name == "data":
        load = pipelined.load
        pipelined.load = lambda *a, **k: replace(load(*a, **k), checksum="0" * 64)
    elif name:
        _at_step(int(number), {"kill": _kill, "stop": _stop, "full": _full, "fail": _fail, "wish": _wish}[name])


def _at_step(number: int, act) -> None:
    check = StageTraining._inputs

    def inputs(self: StageTraining):
        for item in check(self):
            if self.step == number:
                act()
            yield item

    StageTraining._inputs = inputs


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _full() -> None:
    def full(path: Path, *rest: object) -> None:
        raise OSError(28, "No space left on device")

    checkpoints.write_tensors = full


def _wish() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _fail() -> None:
    raise ValueError("something is wrong with these data")
