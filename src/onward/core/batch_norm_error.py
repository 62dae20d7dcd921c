"""The error of a batch norm that is trained on a single value of a channel, with its remedies."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def batch_norm_remedies() -> Iterator[None]:
    """Raise ValueError with the remedies where a batch norm inside the `with` has a single value per channel.

    It replaces torch's own error; all other errors are unchanged.
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
