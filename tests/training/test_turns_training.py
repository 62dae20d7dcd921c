"""Trainings whose steps take turns, and whose batches go through in pieces: losses, resuming, orders."""

import copy
from collections import defaultdict
from dataclasses import dataclass

import pytest
import torch

from onward.algorithms import Algorithm, DeeperForward
from onward.core import Learner, TrainerSettings, alternating
from onward.nets import Net, TinyCNN
from onward.runs import spec_for
from onward.training import EpochDone, StepDone, Training
from toy_trainings import same_tensors


@dataclass(frozen=True)
class Alternating(Algorithm):
    """DeeperForward in pairs of blocks that alternate."""

    def __call__(self, net: Net, num_classes: int) -> Learner:
        local = DeeperForward()(net, num_classes)
        blocks = list(local.blocks)
        rules = dict(local.rules.items())
        return Learner(blocks, supervision=local.supervision, spans=alternating(len(blocks)), rules=rules)  # pyright: ignore


def _finish(training: Training) -> list[EpochDone]:
    return [event for event in training if isinstance(event, EpochDone)]


def _resumed_at(make, stop: int, **settings) -> tuple[Training, list[EpochDone]]:
    """Stop a training after `stop` steps, hand its state to a new one, and finish that; return all reports."""
    first, reports = make(**settings), []
    for event in first:
        if isinstance(event, EpochDone):
            reports.append(event)
        if isinstance(event, StepDone) and first.step == stop:
            break
    tensors, notes = copy.deepcopy(first.state())
    second = make(**settings)
    second.load_state(tensors, notes)
    return second, reports + _finish(second)


def test_reported_losses_are_means_over_the_steps_in_which_a_block_ended_a_span(toy_data):
    learner = spec_for(Alternating(), TinyCNN(width=6), toy_data).build(seed=1)
    size = len(toy_data.train) // 5
    training = Training(learner, toy_data, TrainerSettings(), epochs=3, batch_size=size)
    seen: list[dict[int, list[float]]] = [defaultdict(list)]
    update = training.trainer.update_pieces

    def noting(pieces, spans, **places):
        losses = update(pieces, spans, **places)
        for span, loss in zip(spans, losses, strict=True):
            seen[-1][span.last].append(float(loss))
        return losses

    training.trainer.update_pieces = noting
    assert len(training.loader) == 5  # so that odd epochs begin with the other turn
    counts = []
    for event in training:
        if isinstance(event, EpochDone):
            assert event.losses == pytest.approx({k: sum(v) / len(v) for k, v in sorted(seen[-1].items())})
            counts.append({k: len(v) for k, v in sorted(seen[-1].items())})
            seen.append(defaultdict(list))
    assert counts == [{0: 2, 1: 3, 2: 2, 3: 3}, {0: 3, 1: 2, 2: 3, 3: 2}, {0: 2, 1: 3, 2: 2, 3: 3}]


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("stop", [1, 2, 4, 5, 7, 9])
def test_resumed_turns_equal_uninterrupted_turns(make_training, stop: int, optimizer: str):
    settings = {"algorithm": Alternating(), "optimizer": optimizer, "ema_decay": 0.9}
    whole = make_training(**settings)
    reports = _finish(whole)
    resumed, resumed_reports = _resumed_at(make_training, stop, **settings)
    assert same_tensors(whole.state()[0], resumed.state()[0])
    assert [report.losses for report in reports] == [report.losses for report in resumed_reports]


def test_cascade_refuses_turns(make_training):
    with pytest.raises(ValueError, match=r"order cascade needs the same spans in every step.* use order joint"):
        make_training(algorithm=Alternating(), order="cascade")


@pytest.mark.parametrize("stop", [3, 12, 14, 31])
def test_a_resumed_cascade_reports_the_losses_of_an_uninterrupted_one(make_training, stop: int):
    reports = _finish(make_training(order="cascade"))
    _, resumed_reports = _resumed_at(make_training, stop, order="cascade")
    assert [report.losses for report in reports] == [report.losses for report in resumed_reports]


@pytest.mark.parametrize("settings", [{"micro_batches": 3}, {"recompute": True, "micro_batches": 2}])
def test_resumed_pieces_equal_uninterrupted_pieces(make_training, settings: dict):
    whole = make_training(algorithm=Alternating(), **settings)
    _finish(whole)
    resumed, _ = _resumed_at(make_training, 4, algorithm=Alternating(), **settings)
    assert same_tensors(whole.state()[0], resumed.state()[0])


def test_recomputing_is_the_same_training(make_training):
    plain, recomputed = make_training(algorithm=Alternating()), make_training(algorithm=Alternating(), recompute=True)
    assert [r.losses for r in _finish(plain)] == [r.losses for r in _finish(recomputed)]
    assert same_tensors(plain.learner.state_dict(), recomputed.learner.state_dict())


def test_a_bad_loss_names_the_block_whose_turn_it_was(make_training):
    training = make_training(algorithm=Alternating())
    with pytest.raises(ValueError, match=r"block 2 .* step 3 \(epoch 0\)"):
        for event in training:
            if isinstance(event, StepDone) and training.step == 3:
                with torch.no_grad():
                    next(training.learner.blocks[2].parameters()).fill_(float("nan"))
