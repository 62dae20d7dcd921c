"""Batch normalization of a single value: what a user can do about it."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def enough_values() -> Iterator[None]:
    """Say what to do where a batch normalisation meets a single value of a channel. Raises ValueError."""
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise ValueError(
            "a batch normalisation needs more than one value of each channel, and a single image has but one here: "
            "train on two or more images at a time (--batch-size, --trainer.micro-batches) or on larger ones "
            "(--data.size)"
        ) from None
