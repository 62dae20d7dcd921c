"""The C library's allocator: told to keep what a training step frees, because the next step wants it back."""

import contextlib
import ctypes

import torch

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of mallopt in glibc's malloc.h
_LARGE = 2**30  # bytes


def keep_freed_memory() -> None:
    """Let glibc reuse large blocks instead of returning them to the system; elsewhere nothing happens.

    A map that is mapped afresh at every step costs more in page faults than the arithmetic on it.
    """
    with contextlib.suppress(OSError, AttributeError):  # another system, another C library
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_TRIM_THRESHOLD, _LARGE)


_NO_MEMORY = (
    "can't allocate memory",  # torch on Linux and macOS
    "not enough memory",  # torch on Windows
    "Storage size calculation overflowed",  # torch, for more bytes than an address has
    "array is too big",  # NumPy, likewise
    "Unable to allocate",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device or this machine has too little memory: a processor has no type for it."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError | ValueError) and any(text in str(error) for text in _NO_MEMORY)
