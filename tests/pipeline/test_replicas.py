"""Replicas share a batch: their gradients add up to those of the whole, and what would not is refused."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from comparing import assert_equal_training
from launcher import Launcher
from test_pipelined_equals_sequential import NETS, SHAPE, toy
from torch import nn

from onward.algorithms import DeeperForward
from onward.core import Learner, LocalBlock, each
from onward.data import Augmentation, DataSettings
from onward.nets import MLP, TinyCNN
from onward.parts.goodness.means import ClassMean
from onward.parts.inference.scores import SumGoodness
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.supervision.labels import LabelInLoss
from onward.pipeline import check_replicas
from onward.pipeline.run import Pipelining
from onward.runs import RunOptions, load_model, train

TWO = Pipelining(stages=(2, 2), replicas=2)


def test_two_replicas_of_two_stages_give_the_bits_of_two_micro_batches(launcher: Launcher, tmp_path: Path, place: dict):
    recipe = toy(DeeperForward(), NETS[0])
    launch = launcher.start(recipe, place, 4, how=TWO)
    pieces = replace(recipe, trainer=replace(recipe.trainer, micro_batches=2))
    whole, _ = train(pieces, RunOptions(runs_dir=tmp_path / "whole", device="cpu"))
    launch.succeeds()
    assert_equal_training(tmp_path / "runs" / "toy" / "seed-0", whole.path)


def test_gradients_are_those_of_one_process_on_the_whole_batch(launcher: Launcher, tmp_path: Path, place: dict):
    recipe = toy(DeeperForward(), TinyCNN(width=10, dropout=0.0), optimizer="sgd", ema_decay=None, learning_rate=0.1)
    recipe = replace(recipe, epochs=1, data=DataSettings(name="digits", augmentation=Augmentation(flip=True)))
    launch = launcher.start(recipe, place, 4, how=TWO)
    whole, _ = train(recipe, RunOptions(runs_dir=tmp_path / "whole", device="cpu"))
    launch.succeeds()
    ours, theirs = (load_model(run)[0].blocks for run in (tmp_path / "runs" / "toy" / "seed-0", whole.path))
    for left, right in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):  # pyright: ignore
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-6)


class _Normalized(ClassMean):
    def __init__(self, num_classes: int, channels: int):
        super().__init__(num_classes, channels)
        self.norm = nn.BatchNorm1d(channels)


def test_a_goodness_that_normalizes_by_its_batch_is_refused():
    block = LocalBlock(nn.Linear(4, 20), goodness=_Normalized(10, 20), objective=CrossEntropy())
    learner = Learner([block], supervision=LabelInLoss(), spans=each(1), rules={"sum": SumGoodness()})
    with pytest.raises(ValueError, match=r"BatchNorm1d of block 0.*use --replicas 1"):
        check_replicas(learner, 2, 8, 1)
    check_replicas(learner, 1, 7, 2)


def test_a_batch_that_cannot_be_shared_evenly_is_refused():
    learner = DeeperForward()(MLP(width=20, depth=2)(SHAPE, 10), 10)
    with pytest.raises(ValueError, match="9 images cannot be shared evenly by 2 replicas of 2"):
        check_replicas(learner, 2, 9, 2)
