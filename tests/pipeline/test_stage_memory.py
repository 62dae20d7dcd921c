"""A rank holds its own blocks, their optimizer state, a step of its largest span and waiting messages, and no more."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from launcher import Launcher
from test_pipelined_equals_sequential import toy
from torch import Tensor

from onward.algorithms import DeeperForward
from onward.core import LocalTrainer
from onward.costs.blocks import BlockCosts, block_costs
from onward.data import Augmentation, DataSettings, TrainLoader, load
from onward.nets import TinyCNN
from onward.pipeline import stages_of
from onward.pipeline.run import Pipelining
from onward.runs.model import spec_for

_NET = TinyCNN(width=10, dropout=0.0)
_RECIPE = replace(
    toy(DeeperForward(), _NET), epochs=4, data=DataSettings(name="digits", augmentation=Augmentation())
)  # 6 steps in an epoch


@pytest.mark.parametrize("sizes", [(1, 2, 1), pytest.param((2, 2), marks=pytest.mark.slow)])
def test_every_rank_holds_what_the_simulator_says_and_nothing_grows(
    launcher: Launcher, tmp_path: Path, place: dict, sizes: tuple[int, ...]
):
    notes = [tmp_path / f"memory-{rank}.json" for rank in range(len(sizes))]
    orders = {str(rank): {"MEMORY": str(path)} for rank, path in enumerate(notes)}
    launch = launcher.start(_RECIPE, place, len(sizes), how=Pipelining(stages=sizes), environment=orders)
    costs, trainer = _costs()
    launch.succeeds()
    stages = stages_of(sizes, (1, 2, 3), 4)
    for rank, (stage, path) in enumerate(zip(stages, notes, strict=True)):
        epochs = json.loads(path.read_text())
        weights = sum(tensor.nbytes for k in stage for tensor in _tensors(trainer.learner.blocks[k]))
        weights += sum(tensor.nbytes for tensor in _tensors(trainer.learner)) - sum(
            tensor.nbytes for tensor in _tensors(trainer.learner.blocks)
        )  # what belongs to no block, such as the mean of the data
        state = sum(tensor.nbytes for k in stage for tensor in trainer.optimizers[k].state().values())
        assert [epoch["parameters"] for epoch in epochs] == [weights] * 4
        state += 8 * (4 - len(stage))  # the average of a block that is elsewhere still has a counter
        assert [epoch["optimizer"] for epoch in epochs[1:]] == [state] * 3
        first, last = rank == 0, rank == len(sizes) - 1
        message, label = costs.entering[stage.start], 8 * _RECIPE.batch_size
        for epoch in epochs[1:]:  # the first begins with an empty pipeline
            unseen = 0 if first else 2 * message  # one waits and one is on its way; a third is what the meter sees
            assert epoch["peak"] + unseen <= 1.02 * costs.memory(stage, first=first, last=last)
            older = 1 if last else 2  # labels of steps before: the last step's, or those still on their way onward
            assert epoch["received"] <= (0 if first else 3 * message + older * label)


def _tensors(module: Any) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


def _costs() -> tuple[BlockCosts, LocalTrainer]:
    data = load(_RECIPE.data)
    learner = spec_for(_RECIPE.algorithm, _RECIPE.net, data).build()
    learner.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    trainer = LocalTrainer(learner, _RECIPE.trainer)
    batch = next(TrainLoader(data.train, batch_size=_RECIPE.batch_size, device=learner.device).epoch(0))
    return block_costs(trainer, *batch), trainer
