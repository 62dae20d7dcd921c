"""Over many processes a training gives the same bits as in one: weights, metrics and result."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import task_sets  # noqa: F401 (data sets that it registers)
from comparing import assert_equal_runs
from launcher import Launcher

from onward.algorithms import (
    ALGORITHMS,
    FFGAFSNN,
    HCLFF,
    SCFF,
    Algorithm,
    CwComp,
    DeeperForward,
    DistanceForward,
    DistanceForwardPairs,
    EarlyExits,
    LayerCollaboration,
    MonoForward,
    SymBa,
    UnsupervisedForwardForward,
)
from onward.core import Learner, TrainerSettings
from onward.data import Augmentation, DataSettings
from onward.nets import CFSE, MLP, Architecture, Dense, ResNet17, TinyCNN, Trifecta6
from onward.pipeline import possible_cuts
from onward.pipeline.run import Pipelining
from onward.recipes import Recipe, class_trees
from onward.runs import RunOptions, train

SHAPE, CLASSES = (1, 8, 8), 10
NETS = (TinyCNN(width=10, dropout=0.3), MLP(width=30, depth=4))
LONG = (LayerCollaboration, SymBa)
"""Algorithms of many passes, as is FFGAFSNN, which takes the least time of them."""


def toy(algorithm: Algorithm, net: Architecture, **settings) -> Recipe:
    """Two epochs on scikit-learn's digits with everything random switched on."""
    augmentation = Augmentation(crop=1, cutout=2)
    return Recipe(
        name="toy",
        description="a toy",
        algorithm=algorithm,
        net=net,
        data=DataSettings(name="digits", augmentation=augmentation),
        trainer=TrainerSettings(**{"learning_rate": 0.02, "ema_decay": 0.9, "clip_norm": 1.0, **settings}),
        epochs=2,
        batch_size=200,
    )


def _learner(algorithm: type[Algorithm]) -> tuple[Architecture, Learner]:
    for net in NETS:
        try:
            return net, algorithm()(net(SHAPE, CLASSES), CLASSES)
        except ValueError:
            continue
    raise AssertionError("add a network to NETS that this algorithm can train")


def _each_in_two_processes_or_in_most() -> Iterator[Any]:
    """Yield every algorithm with both; of each one is slow, in turn, and of those that take long both."""
    for number, algorithm in enumerate(ALGORITHMS):
        two_by_default = algorithm is FFGAFSNN or bool(number % 2)
        for most in (False, True):
            marks = [pytest.mark.slow] if most == two_by_default or algorithm in LONG else []
            yield pytest.param(algorithm, most, marks=marks, id=f"{algorithm.__name__}-{'most' if most else 'two'}")


@pytest.mark.parametrize(("algorithm", "most"), [*_each_in_two_processes_or_in_most()])
def test_every_algorithm_gives_the_same_bits_or_says_why_it_cannot_be_cut(
    algorithm: type[Algorithm], most: bool, launcher: Launcher, tmp_path: Path, place: dict
):
    net, learner = _learner(algorithm)
    recipe = toy(algorithm(), net)
    stages = min(4, len(possible_cuts(learner.turns, len(learner.blocks))) + 1)
    if stages == 1:
        launch = launcher.start(recipe, place, 2)
        assert 0 not in launch.codes()
        assert "cannot be cut into 2 stages" in launch.said(0)
        return
    if not all(rule.pipelined for rule in learner.rules.values()):
        launch = launcher.start(recipe, place, 2)
        assert 0 not in launch.codes()
        assert "reads more than a pipeline sends" in launch.said(0)
        return
    launch = launcher.start(recipe, {**place, "runs_dir": tmp_path / "cut"}, stages if most else 2)
    whole, _ = train(recipe, RunOptions(runs_dir=tmp_path / "whole", device="cpu"))
    launch.succeeds()
    assert_equal_runs(tmp_path / "cut" / "toy" / "seed-0", whole.path)


@pytest.mark.parametrize(
    "recipe",
    [
        toy(DeeperForward(), ResNet17(width=10, dropout=0.2), precision="bf16", optimizer="sgd"),
        toy(DistanceForward(collaboration="none"), Trifecta6(width=8, dropout=0.2), micro_batches=2),
        toy(DistanceForwardPairs(collaboration="disjoint", wrong_labels=2), NETS[0], micro_batches=3, ema_decay=None),
        pytest.param(toy(SCFF(grid=1), NETS[0]), marks=pytest.mark.slow),
        pytest.param(toy(UnsupervisedForwardForward(grid=1), NETS[0]), marks=pytest.mark.slow),
        toy(CwComp(), CFSE(width=1)),
        toy(HCLFF(tree=class_trees.MNIST), NETS[0]),
        pytest.param(
            toy(EarlyExits(of=MonoForward(features=64), heads="trained"), MLP(width=30, depth=2)),
            marks=pytest.mark.slow,
        ),
        toy(MonoForward(features=64), MLP(width=30, depth=4), step_together=True),
    ],
    ids=[
        "skips-bf16",
        "batch_norm-pieces",
        "pairs-views",
        "mixed_images",
        "hybrid_images",
        "groups",
        "superclasses-contrast",
        "exit_heads",
        "one_optimizer_step",
    ],
)
def test_skips_batch_norm_pieces_and_views_give_the_same_bits(
    recipe: Recipe, launcher: Launcher, tmp_path: Path, place: dict
):
    launch = launcher.start(recipe, place, 2)
    whole, _ = train(recipe, RunOptions(runs_dir=tmp_path / "whole", device="cpu"))
    launch.succeeds()
    assert_equal_runs(tmp_path / "runs" / "toy" / "seed-0", whole.path)


def test_bf16_messages_train_nearly_as_well(launcher: Launcher, tmp_path: Path, place: dict):
    recipe = toy(DeeperForward(), NETS[0])
    how = Pipelining(stages=(1, 3), messages="bf16")
    launch = launcher.start(recipe, place, 2, how=how)
    _, result = train(recipe, RunOptions(runs_dir=tmp_path / "whole", device="cpu"))
    launch.succeeds()
    ours = json.loads((tmp_path / "runs" / "toy" / "seed-0" / "result.json").read_text())
    assert ours["test_accuracy"] == pytest.approx(result.test_accuracy, abs=0.1)
    assert ours["test_accuracy_by_block"] != list(result.test_accuracy_by_block or ())  # rounded they were


@pytest.mark.parametrize("data", ["numbers_of_a_row", "labels_of_a_row", "digits"])
@pytest.mark.parametrize("replicas", [1, 2])
def test_two_dimensional_targets_and_weights_of_classes_give_the_same_bits(
    data: str, replicas: int, launcher: Launcher, tmp_path: Path, place: dict
):
    recipe = Recipe(
        name="toy",
        algorithm=MonoForward(features=32),
        net=Dense(hidden=(12, 12, 12)),
        data=DataSettings(name=data),
        trainer=TrainerSettings(learning_rate=0.01, ema_decay=0.9, micro_batches=2),
        epochs=2,
        batch_size=40,
        class_weights="balanced" if data == "digits" else None,
    )
    how = Pipelining(stages=(1, 2), balance="measured", replicas=replicas)
    launch = launcher.start(recipe, place, 2 * replicas, how=how)
    whole, _ = train(recipe, RunOptions(runs_dir=tmp_path / "whole", device="cpu"))
    launch.succeeds()
    if replicas == 1:
        assert_equal_runs(tmp_path / "runs" / "toy" / "seed-0", whole.path)
        return
    reached = [
        json.loads((run / "result.json").read_text())["test_accuracy"]
        for run in (whole.path, tmp_path / "runs" / "toy" / "seed-0")
    ]
    assert reached[0] == pytest.approx(reached[1], abs=0.06)
