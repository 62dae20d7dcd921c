"""Random seeds: each is derived from the seed of the run and the step, block or epoch that uses it."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import RLock

import torch

_OPEN: ContextVar[int | None] = ContextVar("seed of the innermost `seeded`", default=None)

_READERS: ContextVar[Callable[[], None] | None] = ContextVar("called for each read of the seed", default=None)

DRAWING = RLock()  # all threads of a process share torch's generators: only one training at a time draws from them


def derive_seed(*parts: int | str) -> int:
    """Return a 63-bit seed that depends on all parts, the same on every platform.

    Blocks, steps and epochs derive theirs from the run seed, so that neither placement nor resuming changes a draw.
    """
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Draw from `seed` on the CPU and on `device` inside the `with`; the caller's random state is restored afterwards.

    Only one thread at a time may enter, so that several trainings in one process draw what each would draw alone.
    """
    generators = _generators(device)
    with DRAWING:
        states = list(map(torch.Generator.get_state, generators))
        token = _OPEN.set(seed)
        try:
            reseed(seed, device)
            yield
        finally:
            _OPEN.reset(token)
            for generator, state in zip(generators, states, strict=True):
                generator.set_state(state)


def reseed(seed: int, device: torch.device) -> None:
    """Draw from another seed from here on, inside a `seeded` of the same device, which restores the caller's state."""
    # torch.manual_seed would also format a stack trace for every absent backend.
    for generator in _generators(device):
        generator.manual_seed(seed)
    _OPEN.set(seed)


def current_seed() -> int | None:
    """Return the seed of the innermost enclosing `seeded`, or None.

    In a training step it depends on step and block, so that seeds derived from it are the same in a resumed run.
    """
    note = _READERS.get()
    if note is not None:
        note()
    return _OPEN.get()


def _generators(device: torch.device) -> list[torch.Generator]:
    """Return those that draw on the CPU and on a device."""
    on_device = [torch.cuda.default_generators[device.index or 0]] if device.type == "cuda" else []
    return [torch.default_generator, *on_device]


@contextmanager
def seed_readers(note: Callable[[], None]) -> Iterator[None]:
    """Call `note` each time that `current_seed` is called inside the `with`."""
    token = _READERS.set(note)
    try:
        yield
    finally:
        _READERS.reset(token)
