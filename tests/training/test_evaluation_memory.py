"""What follows the last epoch stays within the memory of a training step, however many images and blocks there are."""

import pytest
import torch

from onward.algorithms import SCFF, DeeperForward, EarlyExits, ForwardForward, MonoForward
from onward.algorithms.algorithm import Algorithm
from onward.core import TrainerSettings
from onward.data import Images, Splits, from_arrays
from onward.measure import MemoryMeter
from onward.nets import MLP, Architecture, TinyCNN
from onward.parts.inference.scores import LinearReadout
from onward.runs import spec_for
from onward.training import Training

BATCH = 16


def _images(count: int) -> Splits:
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (count, 1, 64, 64), dtype=torch.uint8, generator=draw)
    return from_arrays(pixels, torch.arange(count) % 2, name="noise")


def _trained(algorithm: Algorithm, net: Architecture, images: int) -> Training:
    data = _images(images)
    learner = spec_for(algorithm, net, data).build(seed=0)
    for rule in learner.rules.modules():
        if isinstance(rule, LinearReadout):
            rule.steps = 20
    return Training(learner, data, TrainerSettings(learning_rate=0.01), epochs=1, batch_size=BATCH)


def _peaks(training: Training) -> tuple[int, int]:
    """Return what a training step holds at most beside the images, and what follows the last epoch does."""
    trainer, data = training.trainer, training.data
    batch = next(training.loader.epoch(0))
    for step in range(len(training.learner.turns)):
        trainer.step(*batch, step=step)
    with MemoryMeter(trainer, batch) as step_meter:
        trainer.step(*batch, step=0)
    images = [split.pixels for split in (data.train, data.validation, data.test) if isinstance(split, Images)]
    with MemoryMeter(trainer, images) as meter:
        training.evaluator.validate(data.train, data.validation)
        training.finish()
        training.evaluator.accuracy(data.validation)
        training.evaluator.accuracy(data.test)
    return step_meter.peak, meter.peak - meter.by_category["batch"]


@pytest.mark.parametrize(
    ("algorithm", "net"),
    [
        (DeeperForward(), TinyCNN(width=8, dropout=0.0)),
        (MonoForward(features=64), TinyCNN(width=8, dropout=0.0)),
        (SCFF(), TinyCNN(width=8, dropout=0.0)),
        (EarlyExits(of=MonoForward(features=64), heads="trained"), TinyCNN(width=8, dropout=0.0)),
        (ForwardForward(), MLP(width=300, depth=3)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_it_holds_no_more_than_a_step_and_does_not_grow_with_the_images(algorithm: Algorithm, net: Architecture):
    (step, few), (_, many) = (_peaks(_trained(algorithm, net, images)) for images in (120, 480))
    assert many <= step * 1.01  # a step lets go of the input of a block before its gradient, where little else is held
    assert many <= few * 1.02


def test_images_are_evaluated_as_many_at_a_time_as_are_trained():
    training = _trained(DeeperForward(), TinyCNN(width=4), 120)
    assert training.evaluator.batch_size == BATCH
    settings = TrainerSettings(micro_batches=4)
    data = _images(120)
    learner = spec_for(DeeperForward(), TinyCNN(width=4), data).build()
    assert Training(learner, data, settings, epochs=1, batch_size=BATCH).evaluator.batch_size == BATCH // 4
