"""A checkpoint of one placement is resumed by any other, and ends in the same bits."""

from dataclasses import replace
from pathlib import Path

import pytest
import task_sets  # noqa: F401 (data sets that it registers)
from comparing import assert_equal_runs
from launcher import Launcher
from test_pipelined_equals_sequential import NETS, toy

from onward.algorithms import DeeperForward, MonoForward
from onward.core import TrainerSettings
from onward.data import DataSettings
from onward.nets import Dense
from onward.recipes import Recipe
from onward.runs import Interrupted, RunOptions, resume, train
from onward.training.loop import Training

RECIPE = replace(toy(DeeperForward(), NETS[0]), batch_size=100)  # 12 steps in an epoch


@pytest.mark.parametrize(
    "stop", [pytest.param(2, marks=pytest.mark.slow), 10, pytest.param(15, marks=pytest.mark.slow)]
)
def test_one_process_then_two_then_four_then_one(
    launcher: Launcher, tmp_path: Path, place: dict, stop: int, monkeypatch: pytest.MonkeyPatch
):
    here = RunOptions(runs_dir=tmp_path / "runs", device="cpu", checkpoint_every=0.0)
    whole, _ = train(RECIPE, RunOptions(runs_dir=tmp_path / "whole", device="cpu"))
    with monkeypatch.context() as patch:
        _stop_after(patch, stop)
        with pytest.raises(Interrupted):
            train(RECIPE, here)
    run = tmp_path / "runs" / "toy" / "seed-0"
    launch = launcher.start(None, place, 2, resume=run, environment={"0": {"FAULT": f"signal {stop + 1}"}})
    assert launch.codes() == [143, 143], launch.said(1)
    launch = launcher.start(None, place, 4, resume=run, environment={"0": {"FAULT": f"signal {stop + 4}"}})
    assert launch.codes() == [143] * 4, launch.said(3)
    resume(run, here)
    assert_equal_runs(run, whole.path)


@pytest.mark.parametrize("data", ["numbers_of_a_row", "labels_of_a_row"])
def test_two_dimensional_targets_go_on_in_two_processes(
    data: str, launcher: Launcher, tmp_path: Path, place: dict, monkeypatch: pytest.MonkeyPatch
):
    recipe = Recipe(
        name="toy",
        algorithm=MonoForward(features=32),
        net=Dense(hidden=(12, 12, 12)),
        data=DataSettings(name=data),
        trainer=TrainerSettings(learning_rate=0.01, ema_decay=0.9),
        epochs=2,
        batch_size=20,
    )
    whole, _ = train(recipe, RunOptions(runs_dir=tmp_path / "whole", device="cpu"))
    here = RunOptions(runs_dir=tmp_path / "runs", device="cpu", checkpoint_every=0.0)
    with monkeypatch.context() as patch:
        _stop_after(patch, 3)
        with pytest.raises(Interrupted):
            train(recipe, here)
    run = tmp_path / "runs" / "toy" / "seed-0"
    launch = launcher.start(None, place, 2, resume=run, environment={"0": {"FAULT": "signal 6"}})
    assert launch.codes() == [143, 143], launch.said(1)
    resume(run, here)
    assert_equal_runs(run, whole.path)


def _stop_after(patch: pytest.MonkeyPatch, steps: int) -> None:
    """Ask a sequential training to stop after so many steps."""
    import os
    import signal

    inputs = Training._inputs

    def counted(training: Training):
        for item in inputs(training):
            if training.step + 1 == steps:
                os.kill(os.getpid(), signal.SIGTERM)
            yield item

    patch.setattr(Training, "_inputs", counted)
