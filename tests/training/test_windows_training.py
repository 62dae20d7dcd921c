"""Trainings whose spans have windows: what learns when, at which learning rate, and over a stop and a resume."""

import copy
from dataclasses import dataclass

import pytest
import torch

from onward.algorithms import Algorithm, DeeperForward
from onward.core import Learner, Span, TrainerSettings
from onward.nets import Net, TinyCNN
from onward.runs import spec_for
from onward.training import EpochDone, StepDone, Training
from toy_trainings import same_tensors

EPOCHS = 4


@dataclass(frozen=True)
class Windowed(Algorithm):
    """DeeperForward whose block 0 learns in the first half, block 1 in the second, and the others throughout."""

    def __call__(self, net: Net, num_classes: int) -> Learner:
        local = DeeperForward()(net, num_classes)
        spans = (Span(0, 0, end=0.5), Span(1, 1, begin=0.5), Span(2, 2), Span(3, 3))
        rules = dict(local.rules.items())
        return Learner(list(local.blocks), supervision=local.supervision, spans=spans, rules=rules)  # pyright: ignore


def _training(toy_data, **settings) -> Training:
    learner = spec_for(Windowed(), TinyCNN(width=6), toy_data).build(seed=1)
    return Training(learner, toy_data, TrainerSettings(**settings), epochs=EPOCHS, batch_size=32)


def _weights(training: Training) -> list[torch.Tensor]:
    blocks = training.learner.blocks
    return [torch.cat([p.detach().flatten() for p in block.parameters()]) for block in blocks]


def test_blocks_learn_in_their_windows_alone(toy_data):
    training, before, moved, reported = _training(toy_data), None, [], []
    before = _weights(training)
    for event in training:
        if isinstance(event, EpochDone):
            after = _weights(training)
            moved.append([k for k in range(4) if not torch.equal(before[k], after[k])])
            reported.append(sorted(event.losses))
            before = after
    assert moved == reported == [[0, 2, 3], [0, 2, 3], [1, 2, 3], [1, 2, 3]]


def test_frozen_blocks_are_in_evaluation_mode(toy_data):
    training = _training(toy_data)
    for event in training:
        if isinstance(event, StepDone):
            modes = [block.training for block in training.learner.blocks]
            assert modes == [event.epoch < 2, event.epoch >= 2, True, True]


def test_a_schedule_runs_over_each_window(toy_data):
    training, steps = _training(toy_data, learning_rate=1.0, schedule="linear"), 0
    rates: list[list[float]] = []
    for event in training:
        if isinstance(event, StepDone):
            steps = event.steps
            parts = [optimizer.parts[0] for optimizer in training.trainer.optimizers]
            rates.append([part.optimizer.param_groups[0]["lr"] for part in parts])
    for step, found in enumerate(rates):
        half, whole = step % (2 * steps), 2 * EPOCHS * steps / 2
        active = 0 if step < 2 * steps else 1
        assert found[active] == pytest.approx(1 - half / (2 * steps))
        assert found[2:] == pytest.approx([1 - step / whole] * 2)


@pytest.mark.parametrize("stop", [3, 9, 13])
def test_a_stopped_training_goes_on_as_if_it_had_not_been(toy_data, stop: int):
    whole, first = _training(toy_data), _training(toy_data)
    for _ in whole:
        pass
    for event in first:
        if isinstance(event, StepDone) and first.step == stop:
            break
    second = _training(toy_data)
    second.load_state(*copy.deepcopy(first.state()))
    for _ in second:
        pass
    assert same_tensors(whole.learner.state_dict(), second.learner.state_dict())


def test_cascade_order_refuses_windows(toy_data):
    with pytest.raises(ValueError, match="this learner's have windows: use order joint"):
        _training(toy_data, order="cascade")
