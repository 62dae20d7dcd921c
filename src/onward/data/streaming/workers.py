"""Processes that decode images while the trainer computes."""
# R rows of a piece, C channels, H W map

import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from .shards import PieceReader, Request, Unreadable

_AHEAD = 4  # pieces that each process is given before the first of them is asked for


def spare_cores() -> int:
    """How many processes may decode beside the one that trains: the cores it may use, but one, and at least one.

    Where torchrun started several processes on this machine, they share the cores.
    """
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(1, (usable - processes) // processes)


def decoded(reader: PieceReader, requests: Sequence[Request], *, workers: int) -> Iterator[np.ndarray]:
    """The pixels [R, C, H, W] of each request, in order; decoded by `workers` processes, or in this one if 0.

    The processes end with the iterator. Raises ValueError naming file and row, OSError if a process was killed.
    """
    incoming = _incoming(reader, requests, workers)
    while True:
        images, fault = _next(incoming)
        if isinstance(images, np.ndarray):
            yield images
            continue
        del incoming  # ends the processes now: the traceback of an error would keep them as long as itself
        if fault:
            remedy = "most likely memory ran out: choose fewer --workers or a smaller --data.buffer"
            raise OSError(f"a process that decodes images is gone ({fault}); {remedy}")
        if images is not None:
            raise ValueError(images.message)
        return


def _next(incoming: Iterator[Any]) -> tuple[np.ndarray | Unreadable | None, str]:
    try:
        return next(incoming, None), ""
    except RuntimeError as error:
        return None, str(error)


def _incoming(reader: PieceReader, requests: Sequence[Request], workers: int) -> Iterator[Any]:
    with warnings.catch_warnings():
        # More processes than cores is the user's choice, or the least there can be on a single core.
        warnings.filterwarnings("ignore", message="This DataLoader will create")
        loader = DataLoader(
            reader,  # pyright: ignore[reportArgumentType] (all it is asked for is an item)
            batch_size=None,
            sampler=requests,
            num_workers=workers,
            collate_fn=_as_it_is,
            worker_init_fn=_begin if workers else None,
            prefetch_factor=_AHEAD if workers else None,
            # A fork starts at once and needs no guarded main module; elsewhere the platform's own way.
            multiprocessing_context="fork" if workers and sys.platform == "linux" else None,
            generator=torch.Generator(),  # else the loader would draw from the global one
        )
        return iter(loader)


def _as_it_is(pixels: Any) -> Any:
    # Arrays go through a pipe. Tensors would go through shared memory, of which containers have little.
    return pixels


def _begin(number: int):
    """Set up a process that decodes: it ignores signals, which the trainer handles, and ends with the trainer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_leave_with, args=(os.getppid(),), daemon=True).start()


def _leave_with(parent: int):
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)  # further output would have no reader
