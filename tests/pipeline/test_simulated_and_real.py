"""What the simulator predicts, against real processes whose blocks sleep: no block needs a processor to be slow."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pytest
from launcher import Launcher
from notes_taken import fall_asleep
from test_pipelined_equals_sequential import toy

from onward.algorithms import DeeperForward
from onward.core import LocalTrainer
from onward.costs.blocks import BlockCosts, block_costs
from onward.data import DataSettings, TrainLoader, load
from onward.nets import MLP
from onward.pipeline import LinkSpeed, Stages, place, possible_cuts, simulate
from onward.pipeline.run import Pipelining
from onward.runs.model import spec_for

_STEPS, _FILLED = 8, 2  # one epoch, and the step from which on the pipeline is filled
_LOOPBACK = LinkSpeed(bandwidth=2e9, latency=1e-4)
_RECIPE = replace(toy(DeeperForward(), MLP(width=20, depth=4)), epochs=1, data=DataSettings(name="digits"))


class Seconds(NamedTuple):
    """Of one step once the pipeline is filled, and of all, filling included."""

    step: float
    total: float


@pytest.mark.slow
@pytest.mark.parametrize("stages", [1, 2, 4])
@pytest.mark.parametrize("sleep", [(0.48, 0.48, 0.48, 0.48), (0.3, 0.18, 0.6, 0.42)])
def test_predicted_seconds_are_those_of_real_processes(
    launcher: Launcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sleep: tuple[float, ...], stages: int
):
    costs, placed = _planned(monkeypatch, sleep, stages)
    seconds = [sum(costs.step[k] for k in stage) for stage in placed]
    predicted = simulate(seconds, [costs.entering[stage.start] for stage in placed[1:]], _LOOPBACK, _STEPS)
    measured = _measured(launcher, tmp_path, sleep, placed)
    assert measured.step == pytest.approx(predicted.step, rel=0.1)
    assert measured.total == pytest.approx(predicted.total, rel=0.1)


@pytest.mark.slow
def test_four_equal_stages_are_nearly_four_times_as_fast(launcher: Launcher, tmp_path: Path):
    sleep = (0.48,) * 4
    one, two, four = (
        _measured(launcher, tmp_path, sleep, tuple(range(k * 4 // n, (k + 1) * 4 // n) for k in range(n))).step
        for n in (1, 2, 4)
    )
    assert one / two >= 1.85 and one / four >= 3.6


def _planned(monkeypatch: pytest.MonkeyPatch, sleep: tuple[float, ...], stages: int) -> tuple[BlockCosts, Stages]:
    """Measure every block of one process and balance the stages, as a pipeline does."""
    data = load(_RECIPE.data)
    with monkeypatch.context() as patch:
        fall_asleep(list(sleep), patch.setattr)
        learner = spec_for(_RECIPE.algorithm, _RECIPE.net, data).build()
    batch = next(TrainLoader(data.train, batch_size=_batch_size(), device=learner.device).epoch(0))
    costs = block_costs(LocalTrainer(learner, _RECIPE.trainer), *batch)
    return costs, place(costs.step, costs.entering, possible_cuts(learner.turns, 4), stages)


def _measured(launcher: Launcher, tmp_path: Path, sleep: tuple[float, ...], stages: Stages) -> Seconds:
    """Train an epoch in so many processes; read from their notes how long it took."""
    notes = [tmp_path / f"times-{len(stages)}-{rank}.json" for rank in range(len(stages))]
    orders: dict[str, Any] = {
        str(rank): {"SLEEP": " ".join(map(str, sleep)), "TIMES": str(path)} for rank, path in enumerate(notes)
    }
    here = {"runs_dir": tmp_path / f"runs-{len(stages)}", "device": "cpu"}
    how = Pipelining(stages=tuple(len(stage) for stage in stages))
    recipe = replace(_RECIPE, batch_size=_batch_size())
    launcher.start(recipe, here, len(stages), how=how, environment=orders).succeeds()
    begun = json.loads(notes[0].read_text())[0]
    taken = json.loads(notes[-1].read_text())
    assert len(taken) == _STEPS + 1
    steps = [after - before for before, after in pairwise(taken[_FILLED:])]
    return Seconds(median(steps), taken[-1] - begun)


def _batch_size() -> int:
    return len(load(_RECIPE.data).train) // _STEPS
