"""Training a recipe in a run folder, which can be stopped at any moment and resumed bit for bit."""

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch

from onward.core import EpochDone, Learner, NonNegative, Range, check_fields, gradients_on
from onward.core.metrics import measure_key
from onward.data import Splits
from onward.recipes import Recipe
from onward.runs.codec import encode
from onward.runs.environment import choose_device, environment
from onward.runs.folder import RunFolder
from onward.runs.model import ModelSpec, prepared
from onward.runs.records import make_record
from onward.runs.result import RunEnvironment, RunResult
from onward.runs.start_messages import announce, images_of
from onward.runs.trial import try_out
from onward.runs.warm_start import warm_start
from onward.screen import say
from onward.storage.disk import sweep
from onward.storage.forms import naming
from onward.storage.locks import trained_here
from onward.training.evaluation import Accuracy
from onward.training.finite import check_finite
from onward.training.interrupt import StopRequest, stop_requests
from onward.training.logger import Log, Logger, TensorBoard, check_logger, logged
from onward.training.loop import Listener, StepDone, Training
from onward.training.neighbors import Neighbors
from onward.training.process import processor_set_up


class Interrupted(Exception):
    """A run was asked to stop; it did so after a checkpoint."""

    def __init__(self, folder: Path, signal: int):
        super().__init__(f"stopped after a checkpoint; resume it with: onward train --resume {folder}")
        self.exit_code = 128 + signal


@dataclass(frozen=True)
class RunOptions:
    """Where and how a run executes: folders, device, workers. Does not affect results beyond rounding."""

    data_dir: Path | None = None
    """Folder with one parquet folder per named data set; otherwise $ONWARD_DATA, otherwise the hub."""
    runs_dir: Path = Path("runs")
    """Where run folders are made."""
    device: str = "auto"
    """cpu, cuda, cuda:1, or auto."""
    checkpoint_every: NonNegative = 60.0
    """Seconds between checkpoints."""
    workers: Annotated[int, Range(0, 1024)] | None = None
    """Processes that decode a streamed set; None: one per core that is left over; 0: none."""
    log: Literal["tensorboard"] | None = None
    """Write the numbers of every epoch for TensorBoard too, into the run folder."""

    def __post_init__(self):
        check_fields(self)


@gradients_on()
@processor_set_up()
def train(
    recipe: Recipe,
    options: RunOptions,
    *,
    verbose: bool = True,
    init: Path | None = None,
    record: bool = True,
    logger: Logger | None = None,
) -> tuple[RunFolder, RunResult]:
    """Train from the start in a new run folder; return it with the result. `verbose` shows its progress.

    `logger` takes the numbers of every epoch. `init` is a finished run whose weights the training begins with, wherever
    they fit; the result notes it. Without `record` the folder notes that the result is not to be recorded.
    Raises ValueError for a user's error, OSError if the folder cannot be written, Interrupted after a signal.
    """
    encode(recipe)  # settings that cannot be written to a file are refused
    check_logger(logger)
    loggers_of(options, Path(), logger)  # what is not installed leaves no folder behind
    device = choose_device(options.device)
    data = images_of(recipe, options.data_dir, options.workers, verbose=verbose)
    learner = prepared(recipe, data, torch.device("cpu"))
    if init is not None:
        notice = warm_start(learner, init)
        if verbose:
            say(notice, error=True)
    try_out(learner, recipe.trainer, batch_size=recipe.batch_size)  # what cannot be trained leaves no folder behind
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    weights_of = None if init is None else os.path.abspath(init)
    begun = RunEnvironment(
        **vars(environment(device)),
        record=None if record else False,
        init=weights_of,
        data_checksum=data.checksum,
    )
    folder = RunFolder.create(options.runs_dir, recipe, begun)
    with trained_here(folder.path):
        return folder, _carry_out(folder, recipe, data, learner.to(device), options, verbose, logger)


@gradients_on()
@processor_set_up()
def resume(
    path: Path, options: RunOptions, *, verbose: bool = True, logger: Logger | None = None
) -> tuple[RunFolder, RunResult]:
    """Continue a run from its last checkpoint, or from the start if it has none; a finished run is returned as it is.

    Raises ValueError if the folder is damaged, if another process trains the run, or if the data are not those it
    began with.
    """
    check_logger(logger)
    folder = RunFolder.open(path)
    result = folder.result()
    if result is not None:
        return folder, result
    recipe, device = folder.recipe(), choose_device(options.device)
    with trained_here(path):
        sweep(path)  # what killed writes have left
        result = folder.result()  # another process may have finished it just now
        if result is not None:
            return folder, result
        data = images_of(recipe, options.data_dir, options.workers, begun=True, verbose=verbose)
        check_data(folder, data)
        learner = prepared(recipe, data, device)
        return folder, _carry_out(folder, recipe, data, learner, options, verbose, logger, resumed=True)


def check_data(folder: RunFolder, data: Splits) -> None:
    """Raise ValueError if a run began on other data."""
    begun = folder.environment().data_checksum
    if data.checksum != begun:
        raise ValueError(
            f"{folder.path} began on data with checksum {begun[:12]}, but {data.name} now has {data.checksum[:12]}; "
            "give the path of the data that it began on with --data-dir"
        )


def begin(
    recipe: Recipe, data: Splits, learner: Learner, options: RunOptions, neighbors: Neighbors | None = None
) -> Training:
    """Return the training of a recipe at its start; with `neighbors` as one stage of a pipeline."""
    return Training(
        learner,
        data,
        recipe.trainer,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        augmentation=recipe.data.augmentation,
        neighbors=neighbors,
    )


def follow(
    training: Training, folder: RunFolder, listener: Listener, log: Log, after: Callable[[StepDone | EpochDone], None]
) -> None:
    """Train to the end; file, log and display every event. `after` is called with every event."""
    training.evaluator.watch = listener.stage
    for event in training:
        if isinstance(event, EpochDone):
            folder.append_metrics(asdict(event))
            log.epoch(event)
            listener.epoch(event)
        else:
            listener.step(event)
        after(event)
    listener.trained()


def loggers_of(options: RunOptions, folder: Path, logger: Logger | None = None) -> list[Logger]:
    """Return the loggers of a run in a folder. Raises ValueError for a logger that is not installed."""
    return [*([] if logger is None else [logger]), *([] if options.log is None else [TensorBoard(folder)])]


def judge(training: Training, data: Splits) -> tuple[Accuracy, Accuracy]:
    """Finish a training after its last epoch; return its accuracy on the validation and the test split."""
    training.finish()
    validation = training.evaluator.accuracy(data.validation, "validating")
    return validation, training.evaluator.accuracy(data.test, "testing")  # read once, after everything has been chosen


def test_values(test: Accuracy) -> dict[str, float]:
    """Return the test accuracies for a logger, by rule, and further metrics of the default rule."""
    further = {measure_key(test.task): test.of_default_rule, **test.metrics}
    return {
        **{f"test/{name}": value for name, value in further.items()},
        **{f"test/{rule}": value for rule, value in test.by_rule.items()},
    }


def conclude(
    folder: RunFolder,
    recipe: Recipe,
    data: Splits,
    learner: Learner,
    seconds: float,
    accuracies: tuple[Accuracy, Accuracy],
) -> RunResult:
    """Write the model and result of a training; `accuracies` are those on the validation and the test split."""
    validation, test = accuracies
    result = make_record(
        recipe,
        data,
        learner,
        train_seconds=seconds,
        test=test,
        validation=validation,
        environment=folder.environment(),
    )
    assert isinstance(learner.description, ModelSpec)
    return folder.finish(learner, learner.description, result)


def _carry_out(
    folder: RunFolder,
    recipe: Recipe,
    data: Splits,
    learner: Learner,
    options: RunOptions,
    verbose: bool,
    logger: Logger | None,
    *,
    resumed: bool = False,
) -> RunResult:
    from onward.training.progress import Display  # imports rich, which only who trains into a folder needs

    if verbose:
        announce(recipe, data, learner, learner.device, folder.path)
    training = begin(recipe, data, learner, options)
    checkpoint = folder.load_checkpoint()
    if checkpoint is not None:
        with naming(f"the checkpoint in {folder.path} does not fit this run"):
            training.load_state(*checkpoint)
    elif folder.environment().init is not None:
        if resumed:
            raise ValueError(f"{folder.path} was stopped before its first checkpoint: begin it again with --init")
        _save(training, folder)  # a run that is resumed cannot take these weights again
    folder.keep_metrics(training.epoch, resumed=checkpoint is not None)
    loggers = loggers_of(options, folder.path, logger)
    with logged(loggers, lambda: encode(recipe), training.epoch) as log:
        total, noun = training.total_epochs, training.data.inputs.noun
        with Display(total, training.epoch, training.steps, noun=noun, quiet=not verbose) as display:
            with stop_requests() as request:
                follow(
                    training, folder, display, log, _saved_in_time(training, folder, options.checkpoint_every, request)
                )
                _save(training, folder)
            accuracies = judge(training, data)
        log.result = test_values(accuracies[1])
    return conclude(folder, recipe, data, learner, training.train_seconds, accuracies)


def _saved_in_time(
    training: Training, folder: RunFolder, every: float, request: StopRequest
) -> Callable[[StepDone | EpochDone], None]:
    """Return a function that saves when a checkpoint is due and raises Interrupted when a stop was requested."""
    saved = time.monotonic()

    def after(event: StepDone | EpochDone) -> None:
        nonlocal saved
        if request.signal is not None or time.monotonic() - saved >= every:
            _save(training, folder)
            saved = time.monotonic()
        if request.signal is not None:
            raise Interrupted(folder.path, request.signal)

    return after


def _save(training: Training, folder: RunFolder) -> None:
    training.check()
    tensors, notes = training.state()
    check_finite(tensors, f" after step {training.step}")  # a checkpoint must be a good one
    folder.save_checkpoint(tensors, notes)
