"""Recovery: a finished learner loses accuracy on a noisy chip and trains on that chip to regain it."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count, islice

from onward.core import Count, Learner, Positive, Seed, TrainerSettings, check_fields
from onward.data import Batch, Samples, Splits, TrainLoader
from onward.hardware import Noise, noisy
from onward.measure import MemoryMeter
from onward.training.evaluation import LARGEST_BATCH, Evaluator
from onward.training.online import OnlineLearning


@dataclass(frozen=True)
class ChipTraining:
    """Training on a chip: training images in small batches, at a constant learning rate.

    Raises ValueError for a stream that is shorter than one batch, or for a share that is not positive.
    """

    images: Count = 2000
    """Number of training images; beyond the size of the training split they repeat, in another order."""
    batch_size: Count = 16
    """Images per step."""
    rate: Positive = 0.1
    """Learning rate, as a share of the recipe's."""
    seed: Seed = 0
    """Decides the order of the images."""

    def __post_init__(self):
        check_fields(self)
        if self.images < self.batch_size:
            raise ValueError(
                f"a stream of {self.images} images is shorter than a batch of {self.batch_size}: give "
                "more images, or a smaller batch"
            )


@dataclass(frozen=True)
class Recovery:
    """Accuracies on the test split, as fractions, and the most memory that a step on the chip held, in bytes."""

    chip: int
    clean: float
    """Without the chip, before."""
    met: float
    """On the chip, before training there."""
    recovered: float
    """On the chip, after training there."""
    memory_bytes: int

    @property
    def share(self) -> float | None:
        """Regained accuracy, as a share of the lost one; None if nothing was lost."""
        return (self.recovered - self.met) / (self.clean - self.met) if self.clean > self.met else None


def recover(
    learner: Learner,
    settings: TrainerSettings,
    data: Splits,
    noises: tuple[Noise, ...],
    *,
    chip: int,
    stream: ChipTraining,
    test: Samples | None = None,
    batch_size: int = LARGEST_BATCH,
) -> Recovery:
    """Train a copy of a learner on the chip of this seed, span by span as its algorithm does.

    Settings are the recipe's, except those that need the number of steps in advance: the schedule, averages, and the
    order `cascade`. The default rule is fitted again on the chip at the end, as after every training. `batch_size` is
    that of the recipe, for evaluation. Raises ValueError if the noise acts on nothing in the learner.
    """
    settings = online_settings(settings, stream.rate)
    test, learner = test or data.test, copy.deepcopy(learner)
    evaluator = Evaluator(learner, settings, batch_size=batch_size)
    clean = evaluator.accuracy(test).of_default_rule
    loader = TrainLoader(data.train, batch_size=stream.batch_size, device=learner.device, seed=stream.seed)
    with noisy(learner, noises, seed=chip):
        met = evaluator.accuracy(test).of_default_rule
        online, peak, steps = OnlineLearning(learner, settings, seed=stream.seed), 0, stream.images // stream.batch_size
        for step, (x, y) in enumerate(islice(_endless(loader), steps)):
            if step < min(2, steps):  # from the second step on there is optimizer state
                with MemoryMeter(online.trainer, (x, y)) as meter:
                    online.partial_fit(x, y)
                peak = meter.peak
            else:
                online.partial_fit(x, y)
        evaluator.validate(data.train, data.validation)  # fits the default rule, the only one that is read
        recovered = evaluator.accuracy(test).of_default_rule
    return Recovery(chip, clean, met, recovered, peak)


def online_settings(settings: TrainerSettings, rate: float) -> TrainerSettings:
    """Return a recipe's settings for a stream, at a share of its learning rate.

    Left out are those that need the end of a training or batches of one size.
    """
    return replace(
        settings,
        learning_rate=rate * settings.learning_rate,
        order="joint",
        cache_activations=False,
        ema_decay=None,
        micro_batches=1,
        capture="never",
        compile=False,
    )


def _endless(loader: TrainLoader) -> Iterator[Batch]:
    for epoch in count():
        yield from loader.epoch(epoch)
