"""Replicas share a batch: their gradients add up to those of the whole, and what would not is refused."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from comparing import assert_equal_training
from launcher import Launcher
from test_pipelined_equals_sequential import NETS, SHAPE, toy

from onward.algorithms import ALGORITHMS, DeeperForward, DistanceForward, PredSim
from onward.core import LocalTrainer, TrainerSettings, split
from onward.data import Augmentation, DataSettings
from onward.distributed import check_replicas
from onward.nets import MLP, TinyCNN, Trifecta6
from onward.runs import Place, load_model, train
from onward.runs.pipelined import Pipelining

TWO = Pipelining(stages=(2, 2), replicas=2)


def test_two_replicas_of_two_stages_give_the_bits_of_two_micro_batches(launcher: Launcher, tmp_path: Path, place: dict):
    recipe = toy(DeeperForward(), NETS[0])
    launch = launcher.start(recipe, place, 4, how=TWO)
    pieces = replace(recipe, trainer=replace(recipe.trainer, micro_batches=2))
    whole, _ = train(pieces, Place(runs_dir=tmp_path / "whole", device="cpu"))
    launch.succeeds()
    assert_equal_training(tmp_path / "runs" / "toy" / "seed-0", whole.path)


def test_gradients_are_those_of_one_process_on_the_whole_batch(launcher: Launcher, tmp_path: Path, place: dict):
    recipe = toy(DeeperForward(), TinyCNN(width=10, dropout=0.0), optimizer="sgd", averaging=None, learning_rate=0.1)
    recipe = replace(recipe, epochs=1, data=DataSettings(name="digits", augmentation=Augmentation(flip=True)))
    launch = launcher.start(recipe, place, 4, how=TWO)
    whole, _ = train(recipe, Place(runs_dir=tmp_path / "whole", device="cpu"))
    launch.succeeds()
    ours, theirs = (load_model(run)[0].blocks for run in (tmp_path / "runs" / "toy" / "seed-0", whole.path))
    for left, right in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):  # pyright: ignore
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_shares_add_up_to_the_whole_for_every_algorithm_that_is_not_refused(algorithm):
    net = MLP(width=20, depth=3)
    learner = algorithm()(net(SHAPE, 10), 10).double()
    try:
        check_replicas(learner, 2, 8, 1)
    except ValueError as refusal:
        assert "looks at a batch as a whole" in str(refusal)
        return
    x, y = torch.rand(8, *SHAPE, dtype=torch.float64), torch.arange(8)
    found = []
    for own in ([slice(0, 1)], [slice(0, 1), slice(1, 2)]):
        gradients = [torch.zeros_like(p) for p in learner.parameters()]
        for part in own:
            _add_gradients(learner, gradients, x, y, len(own), part)
        found.append(gradients)
    for whole, shares in zip(*found, strict=True):
        torch.testing.assert_close(shares, whole)


def _add_gradients(learner, gradients, x, y, count: int, part: slice) -> None:
    """Add the gradients of one share of a batch, as a replica's optimizers get to see them."""
    trainer = LocalTrainer(learner, TrainerSettings(), seed=1)

    def keep() -> None:
        for total, parameter in zip(gradients, learner.parameters(), strict=True):
            if parameter.grad is not None:
                total += parameter.grad
                parameter.grad = None

    for optimizer in trainer.optimizers:
        optimizer.step = keep
    stream, target = trainer.enter(x, y, step=0)
    pieces = split(stream, target, count)[part]
    trainer.update_pieces(pieces, learner.turns[0], step=0)


@pytest.mark.parametrize(
    ("learner", "named"),
    [
        (DistanceForward()(MLP(width=20, depth=2)(SHAPE, 10), 10), "RunningAnchors of block"),
        (PredSim()(MLP(width=20, depth=2)(SHAPE, 10), 10), "SimilarityMatching of block 0"),
        (DeeperForward()(Trifecta6(width=10)(SHAPE, 10), 10), "BatchNorm2d of block 0"),
    ],
    ids=["running_anchors", "similarity", "batch_norm"],
)
def test_what_looks_at_the_whole_batch_is_refused(learner, named: str):
    with pytest.raises(ValueError, match=f"{named}.*use --replicas 1"):
        check_replicas(learner, 2, 8, 1)
    check_replicas(learner, 1, 7, 2)


def test_a_batch_that_cannot_be_shared_evenly_is_refused():
    learner = DeeperForward()(MLP(width=20, depth=2)(SHAPE, 10), 10)
    with pytest.raises(ValueError, match="9 images cannot be shared evenly by 2 replicas of 2"):
        check_replicas(learner, 2, 9, 2)
