"""Fit: a network trained on data in memory, without a run folder."""

from collections.abc import Mapping, Sequence
from typing import Any

from onward.algorithms import Algorithm
from onward.core import Count, EpochDone, Learner, Seed, TrainerSettings, check_value, gradients_on
from onward.data import Augmentation, as_data
from onward.nets import Architecture
from onward.runs.codec import encode
from onward.runs.environment import choose_device
from onward.runs.model import spec_for
from onward.runs.trial import try_out
from onward.training.logger import Log, Logger, check_logger, logged
from onward.training.loop import Training
from onward.training.process import processor_set_up


@gradients_on()
@processor_set_up()
def fit(
    algorithm: Algorithm,
    net: Architecture,
    data: Any,
    *,
    epochs: int = 20,
    batch_size: int = 64,
    trainer: TrainerSettings | None = None,
    augmentation: Augmentation | None = None,
    class_weights: str | Mapping[Any, float] | Sequence[float] | None = None,
    seed: int = 0,
    device: str = "auto",
    verbose: bool = False,
    logger: Logger | None = None,
) -> Learner:
    """Train a network on data in memory, without a run folder; return the learner, ready to predict.

    `data` are splits, as of `from_arrays` or `load_data`, any other `onward.data.Data`, or a pair (inputs, labels), a
    loader of batches, or a Hugging Face dataset, of which a share is set aside for validation; test such a learner with
    `learner.score`. `class_weights` multiply the loss of each sample by the weight of its class: a number for each
    class, a mapping from names or indices, or "balanced", which gives all classes the same total weight.
    Its `history` has a record of every epoch. With `verbose` the training is shown on standard error: a bar on a
    terminal, and a line for each epoch. `logger` takes the numbers of every epoch: `onward.training.TensorBoard`, or an
    `onward.training.Logger` of your own. Raises ValueError for arguments of another kind, if the parts do not fit each
    other, or if a loss is no longer finite.
    """
    epochs, batch_size = check_value("epochs", epochs, Count), check_value("batch_size", batch_size, Count)
    seed = check_value("seed", seed, Seed)
    check_value("trainer", trainer, TrainerSettings | None)
    check_value("augmentation", augmentation, Augmentation | None)
    check_value("verbose", verbose, bool)
    check_logger(logger)
    data = as_data(data, seed=seed)
    spec = spec_for(algorithm, net, data, class_weights)
    settings, on, learner = trainer or TrainerSettings(), choose_device(device), spec.build(seed=seed)
    try_out(learner, settings, batch_size=batch_size)
    training = Training(
        learner.to(on),
        data,
        settings,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        augmentation=augmentation,
    )
    arguments = {"epochs": epochs, "batch_size": batch_size, "seed": seed}
    parts = {"algorithm": algorithm, "net": net, "trainer": settings}
    with logged(
        [] if logger is None else [logger],
        lambda: {**arguments, **{name: encode(part) for name, part in parts.items()}},
    ) as log:
        learner.history = _shown(training, log) if verbose else _unshown(training, log)
    return learner.eval()


def _unshown(training: Training, log: Log) -> tuple[EpochDone, ...]:
    history = []
    for event in training:
        if isinstance(event, EpochDone):
            history.append(event)
            log.epoch(event)
    training.finish()
    return tuple(history)


def _shown(training: Training, log: Log) -> tuple[EpochDone, ...]:
    from onward.training.progress import Display  # it alone needs rich here

    history = []
    total, noun = training.total_epochs, training.data.inputs.noun
    with Display(total, training.epoch, len(training.loader), noun=noun) as display:
        training.evaluator.watch = display.stage
        for event in training:
            if isinstance(event, EpochDone):
                history.append(event)
                log.epoch(event)
                display.epoch(event)
            else:
                display.step(event)
        display.trained()
        training.finish()
    return tuple(history)
