"""Faults that a test makes in a rank, named in its environment."""

import ctypes
import os
import signal
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch.distributed as dist

from onward.pipeline import run as pipelined
from onward.runs import checkpoints, folder, start_messages
from onward.training import Training, evaluation

_NEW_MOUNTS, _PRIVATE, _RECURSIVE = 0x20000, 1 << 18, 1 << 14


def make() -> None:
    """Arrange for the fault that FAULT names, such as `kill 5`: at step 5."""
    name, _, number = os.environ.get("FAULT", "").partition(" ")
    if os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0":
        return
    if name == "code":
        pipelined._source_digest = lambda: "another"
    elif name == "data":
        load = start_messages.load
        start_messages.load = lambda *a, **k: replace(load(*a, **k), checksum="0" * 64)
    elif name == "full_at_end":
        folder.save_model = _no_space
    elif name == "slow_fit":
        _slow_first_fit(float(number))
    elif name:
        acts = (_kill, _stop, _full, _fail, _signal, _loop, _dead_disk, _cut, _silence, _small_disk)
        _at_step(int(number), next(act for act in acts if act.__name__ == f"_{name}"))


def _slow_first_fit(seconds: float) -> None:
    fit = evaluation.fit_rule

    def slow(*arguments: Any) -> None:
        evaluation.fit_rule = fit
        time.sleep(seconds)
        fit(*arguments)

    evaluation.fit_rule = slow


def _at_step(number: int, act) -> None:
    check = Training._inputs

    def inputs(self: Training):
        for item in check(self):
            if self.step == number:
                act()
            yield item

    Training._inputs = inputs


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _full() -> None:
    checkpoints.write_tensors = _no_space


def _no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")


def _small_disk() -> None:
    """Put a disk of 16 kB, which no other process sees, where this rank writes its parts of the next checkpoints."""
    write = checkpoints.write_tensors

    def writes(path: Path, *rest: Any) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        _done(libc.unshare(_NEW_MOUNTS))
        _done(libc.mount(b"none", b"/", None, _PRIVATE | _RECURSIVE, None))
        _done(libc.mount(b"none", os.fsencode(path.parent), b"tmpfs", 0, b"size=16k"))
        checkpoints.write_tensors = write
        write(path, *rest)

    checkpoints.write_tensors = writes


def _done(code: int) -> None:
    if code:
        raise OSError(ctypes.get_errno(), "this test needs the right to mount")


def _loop() -> None:
    while True:
        time.sleep(0.01)


def _dead_disk() -> None:
    def waits(path: Path, *rest: object) -> None:
        os.mkfifo(path.with_suffix(".dead"))
        os.open(path.with_suffix(".dead"), os.O_RDONLY)  # waits in the kernel for what never comes

    checkpoints.write_tensors = waits


def _cut() -> None:
    """Shut down every connection of this process but those to the rendezvous."""
    for name in os.listdir("/proc/self/fd"):
        try:
            connection = socket.socket(fileno=os.dup(int(name)))
            with connection:
                if int(os.environ["MASTER_PORT"]) not in (connection.getpeername()[1], connection.getsockname()[1]):
                    connection.shutdown(socket.SHUT_RDWR)
        except (OSError, IndexError):  # no socket, or one that only listens
            continue


def _silence() -> None:
    """Nothing arrives from here any more, and nobody is told."""
    dist.send = lambda *a, **k: threading.Event().wait()


def _signal() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _fail() -> None:
    raise ValueError("something is wrong with these data")
