"""Batch norm refuses to train on one value of a channel; what helps is said here, for every way to train."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def several_values() -> Iterator[None]:
    """Say what helps where a batch norm inside the `with` is trained on a single value of each channel.

    Raises ValueError with the remedy in place of torch's own, and lets all others through.
    """
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise ValueError(
            "batch norm cannot be trained on a single value per channel: give two rows or more at a time (batch_size, "
            "--batch-size, or drop_last=True in a DataLoader), fewer pieces (micro_batches, --trainer.micro-batches), "
            "or put its modules into evaluation mode"
        ) from None
