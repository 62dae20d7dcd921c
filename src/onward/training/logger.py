"""Loggers: receivers of the numbers of a training, epoch by epoch."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from onward.core import EpochDone
from onward.core.metrics import measure_key

Values = Mapping[str, float]


@runtime_checkable
class Logger(Protocol):
    """A receiver of the numbers of a training: any object with these three methods."""

    def begin(self, settings: Mapping[str, Any], first_epoch: int) -> None:
        """Take the settings of a training, as in JSON; `first_epoch`: the number of epochs done before it resumed."""

    def epoch(self, number: int, values: Values) -> None:
        """Take the values of an epoch, counted from 1: accuracies as fractions, losses by block."""

    def end(self, values: Values) -> None:
        """Take the test accuracy by rule; empty if the training was stopped, and for `fit`, which does not test."""


class TensorBoard:
    """Writes event files into a folder, for `tensorboard --logdir`. Raises ValueError where it is not installed."""

    def __init__(self, folder: Path | str):
        if find_spec("tensorboard") is None:
            raise ValueError("TensorBoard is not installed: pip install 'onward[log]'")
        self.folder = Path(folder)

    def begin(self, settings: Mapping[str, Any], first_epoch: int) -> None:
        from torch.utils.tensorboard import SummaryWriter  # it takes a second to import

        # Epochs that an earlier process wrote and that are trained again are no longer shown.
        self._writer = SummaryWriter(str(self.folder), purge_step=first_epoch + 1 if first_epoch else None)
        self._writer.add_text("settings", f"```json\n{json.dumps(settings, indent=2)}\n```")
        self._last = first_epoch

    def epoch(self, number: int, values: Values) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, number)
        self._writer.flush()
        self._last = number

    def end(self, values: Values) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, self._last)
        self._writer.close()


class Log:
    """Several loggers as one; `result` is passed to them at the end."""

    def __init__(self, loggers: Sequence[Logger]):
        self.loggers = loggers
        self.result: Values = {}

    def epoch(self, done: EpochDone) -> None:
        for logger in self.loggers:
            logger.epoch(done.epoch + 1, values_of(done))


@contextmanager
def logged(loggers: Sequence[Logger], settings: Callable[[], Mapping[str, Any]], first_epoch: int = 0) -> Iterator[Log]:
    """Begin loggers and end them, also after an error, so that their files are closed."""
    log, begun = Log(loggers), []
    try:
        for logger in loggers:
            logger.begin(settings(), first_epoch)
            begun.append(logger)
        yield log
    finally:
        for logger in begun:
            logger.end(log.result)


def check_logger(logger: object) -> None:
    """Raise ValueError for an object without the methods of a logger."""
    if logger is not None and (isinstance(logger, type) or not isinstance(logger, Logger)):
        shown = logger.__name__ if isinstance(logger, type) else type(logger).__name__
        raise ValueError(f"logger is {shown}: give an object with begin, epoch and end, such as TensorBoard(folder)")


def values_of(done: EpochDone) -> dict[str, float]:
    """Return the numbers of an epoch by name; blocks are counted from 1."""
    return {
        f"validation/{measure_key(done.task)}": done.validation_accuracy,
        **{f"validation/block_{k}": value for k, value in enumerate(done.block_accuracy, 1)},
        **{f"loss/block_{block + 1}": value for block, value in done.losses.items()},
        "speed/images_per_second": done.images_per_second,
        "memory/peak_bytes": float(done.peak_memory_bytes),
    }
