"""Trainer settings: how to optimise, the same for every algorithm and for backprop."""

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args, get_origin

import torch


@dataclass(frozen=True, kw_only=True)
class TrainerSettings:
    """How every block is optimised.

    Raises ValueError for a value outside its range.
    """

    optimizer: Literal["adamw", "adam", "sgd", "adafactor", "muon"] = "adamw"
    """One such optimizer per block (adam: weight decay enters the gradient; adafactor: keeps row and column sums alone;
    muon: for the weight matrices of bodies that normalise, adamw for all other parameters)."""
    learning_rate: float = 1e-3
    """Peak learning rate."""
    final_learning_rate: float = 0.0
    """Learning rate that the schedule ends at."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate falls."""
    schedule_every: Literal["step", "epoch"] = "step"
    """Whether the learning rate moves every step or every epoch."""
    warmup: float = 0.0
    """Fraction of the training over which the learning rate rises from 0."""
    weight_decay: float = 0.0
    """Weight decay of every trained parameter."""
    momentum: float = 0.9
    """Momentum of sgd and muon."""
    adamw_share: float = 0.02
    """muon: learning rate of adamw, as a share of that of muon."""
    clip_norm: float | None = None
    """Largest gradient norm of a block; None: no clipping."""
    averaging: float | None = None
    """Decay per step of the weight average that is evaluated and saved; None: the last weights."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of the bodies; bf16 is autocast, weights stay fp32."""
    channels_last: bool = True
    """Memory layout of image batches and convolutions."""
    micro_batches: int = 1
    """Pieces of a batch that go through a span one after the other; their gradients add up."""
    recompute: bool = False
    """Inside a span, keep only what enters each block and compute the rest again: activation checkpointing."""
    order: Literal["joint", "cascade"] = "joint"
    """joint: every block on every batch; cascade: span after span, `epochs` each."""
    cache_activations: bool = False
    """cascade: store what the frozen blocks hand on, instead of computing it again every epoch."""

    def __post_init__(self):
        check_choices(self)
        for field in ("learning_rate", "final_learning_rate", "weight_decay", "adamw_share"):
            value = getattr(self, field)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{field} must be a finite number >= 0, got {value}")
        for field in ("momentum", "warmup"):
            if not 0 <= getattr(self, field) < 1:
                raise ValueError(f"{field} must be in [0, 1), got {getattr(self, field)}")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ValueError(f"clip_norm must be positive, got {self.clip_norm}; leave it out for no clipping")
        if self.averaging is not None and not 0 < self.averaging < 1:
            raise ValueError(f"averaging must be a decay in (0, 1), got {self.averaging}; leave it out for none")
        if self.micro_batches < 1:
            raise ValueError(f"micro_batches must be at least 1, got {self.micro_batches}")
        if self.cache_activations and self.order != "cascade":
            raise ValueError("cache_activations needs order cascade: jointly trained blocks change at every step")

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
        return self.final_learning_rate + (self.learning_rate - self.final_learning_rate) * remaining[self.schedule]

    def arithmetic(self, device: torch.device) -> AbstractContextManager:
        """Open the precision in which bodies compute on `device`."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(device.type, dtype=torch.bfloat16)


def check_choices(settings: Any) -> None:
    """Raise ValueError where a field that allows certain values only has another one."""
    for field in fields(settings):
        value = getattr(settings, field.name)
        if get_origin(field.type) is Literal and value not in get_args(field.type):
            known = ", ".join(str(choice) for choice in get_args(field.type))
            raise ValueError(f"{field.name} must be one of {known}, got {value!r}")
