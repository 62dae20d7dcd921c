"""Faults that a test makes in a rank, named in its environment."""

import os
import signal
import time

from onward.runs import pipelined
from onward.runs.files import write_tensors
from onward.runs.stage_training import StageTraining


def make() -> None:
    """Arrange for the fault that FAULT names, such as `kill 5`: at step 5."""
    name, _, number = os.environ.get("FAULT", "").partition(" ")
    if os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0":
        return
    if name == "code":
        pipelined._source_digest = lambda: "another"
    elif name == "full":
        from onward.runs import checkpoints

        def full(path, *rest):
            raise OSError(28, "No space left on device")

        assert checkpoints.write_tensors is write_tensors
        checkpoints.write_tensors = full
    elif name:
        _at_step(int(number), {"kill": _kill, "stop": _stop, "hang": _hang, "fail": _fail}[name])


def _at_step(number: int, act) -> None:
    check = StageTraining._inputs

    def inputs(training: StageTraining):
        for item in check(training):
            if training.step == number:
                act()
            yield item

    StageTraining._inputs = inputs


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _hang() -> None:
    time.sleep(3600)


def _fail() -> None:
    raise ValueError("something is wrong with these data")
