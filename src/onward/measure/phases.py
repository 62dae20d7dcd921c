"""A training step by block and phase: splits any counter that only increases, such as time."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from onward.core import LocalBlock, LocalTrainer

PHASES = ("data", "forward", "score", "gradient", "optimizer", "handoff")
"""Reading and preparing a batch; bodies; goodness, objective and the objective's own gradient; the backward pass from
the scores down; clipping, step and average; handoffs."""

Shares = dict[tuple[int | None, str], int | float]
"""Shares of a counter by block and phase; data belong to no block."""


class Phases:
    """Splits what `read` counts during training steps: seconds with `clock`, operations with a FLOP counter.

    Works by hooks that exist inside the `with` alone: a step without it has no overhead. Recomputation counts as
    gradient. A backward pass through several blocks is split where it enters each block; with recomputing all of it
    counts for the span's last block.
    """

    def __init__(self, trainer: LocalTrainer, read: Callable[[], int | float]):
        self._trainer = trainer
        self._read = read
        self._stack = ExitStack()
        self._shares: Shares = {}
        self._current: tuple[int | None, str] = (None, "data")
        self._since: int | float = 0

    def __enter__(self) -> "Phases":
        for index, block in enumerate(self._trainer.learner.blocks):
            self._watch(index, block)
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def of(self, work: Callable[[], object]) -> Shares:
        """Call `work`, such as loading a batch and training a step; return the counter by block and phase."""
        self._shares, self._current, self._since = {}, (None, "data"), self._read()
        work()
        self._mark(None, "data")
        return self._shares

    def _watch(self, index: int, block: LocalBlock) -> None:
        def ahead(phase: str) -> Callable[..., None]:
            return lambda *_: self._mark(index, phase)

        def entered(module: nn.Module, inputs: Any, activity: Tensor) -> None:
            if activity.requires_grad and not _in_backward():
                activity.register_hook(ahead("gradient"))

        def scored(module: nn.Module, inputs: Any, scores: Tensor) -> None:
            if scores.requires_grad:
                scores.register_hook(ahead("gradient"))

        def handed_on(*_: Any) -> None:
            if not torch.is_grad_enabled():  # the last operation before the update, or before the next block
                self._mark(index, "optimizer")

        self._keep(block.body.register_forward_pre_hook(ahead("forward")))
        self._keep(block.body.register_forward_hook(entered))
        self._keep(block.handoff.register_forward_pre_hook(ahead("handoff")))
        self._keep(block.handoff.register_forward_hook(handed_on))
        if block.goodness is not None:
            self._keep(block.goodness.register_forward_pre_hook(ahead("score")))
            self._keep(block.goodness.register_forward_hook(scored))
        for part in self._trainer.optimizers[index].parts:
            self._keep(part.optimizer.register_step_pre_hook(ahead("optimizer")))

    def _keep(self, handle: Any) -> None:
        self._stack.callback(handle.remove)

    def _mark(self, block: int | None, phase: str) -> None:
        if _in_backward() and phase != "gradient":  # computed again
            return
        now = self._read()
        self._shares[self._current] = self._shares.get(self._current, 0) + now - self._since
        self._current, self._since = (block, phase), now


def clock(device: torch.device) -> Callable[[], float]:
    """Return a clock in seconds that, on CUDA, first waits for the device."""
    if device.type != "cuda":
        return time.perf_counter

    def read() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return read


def _in_backward() -> bool:
    return torch._C._current_graph_task_id() != -1
