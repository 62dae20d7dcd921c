"""Trainer settings: how to optimize, the same for every algorithm and for backprop."""

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Annotated, Literal

import torch

from onward.core.ranges import Count, NonNegative, Positive, Range, ShareBelowOne, check_fields
from onward.core.renamed import renamed_fields


@renamed_fields(adamw_share="adamw_lr_scale", averaging="ema_decay")
@dataclass(frozen=True, kw_only=True)
class TrainerSettings:
    """How every block is optimized.

    Raises ValueError for a value outside its range.
    """

    optimizer: Literal["adamw", "adam", "sgd", "adafactor", "muon"] = "adamw"
    """One such optimizer per block (adam: weight decay enters the gradient; adafactor: keeps row and column sums alone;
    muon: for the weight matrices of bodies that normalize, adamw for all other parameters)."""
    learning_rate: NonNegative = 1e-3
    """Peak learning rate."""
    final_learning_rate: NonNegative = 0.0
    """Learning rate that the schedule ends at."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate falls."""
    schedule_every: Literal["step", "epoch"] = "step"
    """Whether the learning rate moves every step or every epoch."""
    warmup: ShareBelowOne = 0.0
    """Fraction of the training over which the learning rate rises from 0."""
    weight_decay: NonNegative = 0.0
    """Weight decay of every trained parameter."""
    momentum: ShareBelowOne = 0.9
    """Momentum of sgd and muon."""
    adamw_lr_scale: NonNegative = 0.02
    """muon: learning rate of adamw, divided by that of muon."""
    clip_norm: Positive | None = None
    """Largest gradient norm of a block; None: no clipping."""
    ema_decay: Annotated[float, Range(0, 1, above=True, below=True)] | None = None
    """Decay per step of the exponential moving average of the weights, which is evaluated and saved; None: the last
    weights."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of the bodies; bf16 is autocast, weights stay fp32."""
    channels_last: bool = True
    """Memory layout of image batches and convolutions."""
    micro_batches: Count = 1
    """Pieces of a batch that go through a span one after the other; their gradients add up."""
    recompute: bool = False
    """Inside a span, keep only what enters each block and compute the rest again: activation checkpointing."""
    step_together: bool = False
    """One optimizer step over all blocks at the end of a step, in fewer operations: the same updates, but the gradients
    of all weights stay in memory until then. A micro-batch goes through all spans before the next one: no activity of
    the whole batch is held."""
    order: Literal["joint", "cascade"] = "joint"
    """joint: every block on every batch; cascade: span after span, `epochs` each."""
    cache_activations: bool = False
    """cascade: store what the frozen blocks hand on, instead of computing it again every epoch."""
    capture: Literal["auto", "never"] = "never"
    """auto: repeat steps, where that is possible, as CUDA graphs, or on a CPU as recorded programs: the same steps with
    less work for Python between operations, for narrow networks and small batches."""
    compile: bool = False
    """On a CPU, make a program of the steps, where that is possible: the same up to rounding. It takes 3 to 50 seconds
    and a C++ compiler, and pays for narrow networks, in trainings of some ten thousand steps."""

    def __post_init__(self):
        check_fields(self)
        if self.cache_activations and self.order != "cascade":
            raise ValueError("cache_activations needs order cascade: jointly trained blocks change at every step")
        if self.compile and self.capture == "auto":
            raise ValueError(
                "steps are captured or compiled, not both: take capture 'never' with compile, or leave it out"
            )

    def learning_rate_at(self, step: int, steps_per_epoch: int, epochs: int) -> float:
        """Return the learning rate of a step, counted from 0 within one schedule of `epochs` epochs."""
        if self.schedule_every == "epoch":
            step, total = step // steps_per_epoch, epochs
        else:
            total = steps_per_epoch * epochs
        warm = self.warmup * total
        if step < warm:
            return self.learning_rate * (step + 1) / (warm + 1)
        progress = (step - warm) / max(total - warm, 1)
        remaining = {"cosine": 0.5 * (1 + math.cos(math.pi * progress)), "linear": 1 - progress, "constant": 1.0}
        first, final, share = self.learning_rate, self.final_learning_rate, remaining[self.schedule]
        # From the smaller of the two: beside a far larger one it would be rounded away.
        return final + (first - final) * share if final <= first else first + (final - first) * (1 - share)

    def arithmetic(self, device: torch.device) -> AbstractContextManager:
        """Open the precision in which bodies compute on `device`."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(device.type, dtype=torch.bfloat16)
