"""The machine's rate of floating-point operations in large products."""
# N rows and columns of a product

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

import torch
from torch import nn

from onward.measure.phases import clock


class PeakRate(NamedTuple):
    """Floating-point operations per second: of a square matrix product, and of a 3x3 convolution with its gradient."""

    matmul: float
    convolution: float

    @property
    def best(self) -> float:
        return max(self)


def peak_rate(
    device: torch.device, arithmetic: Callable[[torch.device], AbstractContextManager], *, seconds: float = 1.0
) -> PeakRate:
    """Measure the best rate of large products in the precision of `arithmetic`, for about `seconds` each."""
    size = 8192 if device.type == "cuda" else 1536
    a, b = torch.rand(2, size, size, device=device).unbind()
    channels, images = (256, 256) if device.type == "cuda" else (128, 16)
    conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False, device=device)
    conv.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    maps = torch.rand(images, channels, 32, 32, device=device).to(memory_format=torch.channels_last)
    with arithmetic(device):
        if torch.is_autocast_enabled(device.type):
            a, b = a.bfloat16(), b.bfloat16()

        def convolve() -> None:
            out = conv(maps)
            torch.autograd.grad(out, conv.weight, out)

        convolution = 2 * 2 * images * 32 * 32 * channels * channels * 9
        return PeakRate(
            _rate(lambda: a @ b, 2 * size**3, device, seconds),
            _rate(convolve, convolution, device, seconds),
        )


def _rate(work: Callable[[], object], operations: int, device: torch.device, seconds: float) -> float:
    """Return the rate of the fastest repetition."""
    read, best, started = clock(device), float("inf"), time.perf_counter()
    work()
    while best == float("inf") or time.perf_counter() - started < seconds:
        before = read()
        work()
        best = min(best, read() - before)
    return operations / best
