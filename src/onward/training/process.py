"""Settings of the processor and of the C library's allocator during a training, from Python and the command line."""

import contextlib
import ctypes
from collections.abc import Iterator

import torch

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of mallopt in glibc's malloc.h
_LARGE = 2**30  # bytes


def keep_freed_memory() -> None:
    """Let glibc reuse large blocks instead of returning them to the system; elsewhere nothing happens.

    Memory that is mapped again at every step costs more time in page faults than the arithmetic on it.
    """
    with contextlib.suppress(OSError, AttributeError):  # another system, another C library
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_TRIM_THRESHOLD, _LARGE)


@contextlib.contextmanager
def processor_set_up() -> Iterator[None]:
    """Keep freed memory and round denormal numbers to 0, inside the `with` or the function it decorates.

    Arithmetic on denormal numbers takes twice the time.
    """
    keep_freed_memory()
    before = _takes_tiny_for_zero()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def _takes_tiny_for_zero() -> bool:
    """Whether this thread rounds denormal numbers to 0."""
    return float(torch.tensor(1e-308, dtype=torch.float64, device="cpu") / 1000) == 0


_NO_MEMORY = (
    "can't allocate memory",  # torch on Linux and macOS
    "not enough memory",  # torch on Windows
    "Storage size calculation overflowed",  # torch, for more bytes than an address has
    "array is too big",  # NumPy, likewise
    "Unable to allocate",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that a device or this machine has too little memory: on a CPU it has no type of its
    own."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError | ValueError) and any(text in str(error) for text in _NO_MEMORY)
