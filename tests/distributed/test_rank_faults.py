"""A rank that is killed, hangs, fails or differs is noticed within ten seconds, named by all, and nothing is lost."""

import json
import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from comparing import assert_equal_runs
from launcher import Launcher
from test_pipelined_equals_sequential import NETS, toy

from onward.algorithms import DeeperForward
from onward.distributed.faults import BEAT, GRACE, LOST_AFTER
from onward.runs import Place, resume, train
from onward.runs.pipelined import Pipelining

RECIPE = replace(toy(DeeperForward(), NETS[0]), batch_size=100)  # 12 steps in an epoch
THREE = Pipelining(stages=(1, 2, 1))


def _run_of(place: dict) -> Path:
    return Path(place["runs_dir"]) / "toy" / "seed-0"


def test_seconds_until_a_fault_is_noticed_are_below_ten():
    assert BEAT + LOST_AFTER + BEAT + GRACE < 10


@pytest.mark.parametrize("rank", [pytest.param(0, marks=pytest.mark.slow), 1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_killed_rank_is_named_by_all_and_a_restart_goes_on_from_the_last_checkpoint(
    launcher: Launcher, tmp_path: Path, place: dict, rank: int
):
    place["checkpoint_every"] = 0.0
    launch = launcher.start(RECIPE, place, 3, how=THREE, restarts=1, environment={str(rank): {"FAULT": "kill 15"}})
    whole, _ = train(RECIPE, Place(runs_dir=tmp_path / "whole", device="cpu"))
    codes = launch.codes()
    assert codes[rank] == -signal.SIGKILL
    for other in {0, 1, 2} - {rank}:
        assert codes[other] == 1 and f"rank {rank} is gone" in launch.said(other)
    assert launch.codes(1) == [0, 0, 0], [launch.said(k, 1) for k in range(3)]
    assert "epoch 2/2" in launch.said(2, 1) and "epoch 1/2" not in launch.said(2, 1)
    assert_equal_runs(_run_of(place), whole.path)


def test_a_rank_that_stands_still_is_noticed_within_ten_seconds(launcher: Launcher, place: dict):
    launch = launcher.start(RECIPE, place, 3, how=THREE, environment={"1": {"FAULT": "stop 3"}})
    while not any(_stopped(launch.pid(rank)) for rank in range(3)):
        time.sleep(0.01)
    since = time.monotonic()
    while any(_alive(launch.pid(rank)) for rank in (0, 2)):
        time.sleep(0.01)
        assert time.monotonic() - since < 10
    os.kill(launch.pid(1), signal.SIGKILL)
    launch.codes()
    for other in (0, 2):
        assert "rank 1 has not been heard of" in launch.said(other)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_a_rank_killed_at_a_random_moment_costs_nothing(launcher: Launcher, tmp_path: Path, place: dict, seed: int):
    draw = random.Random(seed)
    place["checkpoint_every"] = 0.0
    launch = launcher.start(RECIPE, place, 3, how=THREE, restarts=2)
    victim = launch.pid(draw.randrange(3))
    time.sleep(draw.uniform(0, 2))
    if _alive(victim):
        os.kill(victim, signal.SIGKILL)
    whole, _ = train(RECIPE, Place(runs_dir=tmp_path / "whole", device="cpu"))
    if any(launch.codes(0)):
        assert launch.codes(1) == [0, 0, 0], [launch.said(k, 1) for k in range(3)]
    assert_equal_runs(_run_of(place), whole.path)


def test_a_rank_that_fails_tells_the_others_why(launcher: Launcher, place: dict):
    launch = launcher.start(RECIPE, place, 3, how=THREE, environment={"1": {"FAULT": "fail 4"}})
    assert launch.codes() == [1, 1, 1]
    for rank in range(3):
        assert "something is wrong with these data" in launch.said(rank)
    assert "rank 1 on " in launch.said(0)


def test_another_version_of_the_code_is_named(launcher: Launcher, place: dict):
    launch = launcher.start(RECIPE, place, 3, how=THREE, environment={"2": {"FAULT": "code"}})
    assert launch.codes() == [1, 1, 1]
    for rank in range(3):
        assert "rank 2 has another version of the code than rank 0: another" in launch.said(rank)
    assert not _run_of(place).exists()


def test_other_data_are_named(launcher: Launcher, place: dict):
    launch = launcher.start(RECIPE, place, 2, environment={"1": {"FAULT": "data"}})
    assert launch.codes() == [1, 1]
    for rank in range(2):
        assert "rank 1 has another data checksum than rank 0" in launch.said(rank)


def test_a_full_disk_on_one_rank_is_named_and_the_checkpoint_before_it_stays(
    launcher: Launcher, tmp_path: Path, place: dict
):
    place["checkpoint_every"] = 0.0
    launch = launcher.start(RECIPE, place, 3, how=THREE, environment={"1": {"FAULT": "full 5"}})
    assert launch.codes() == [1, 1, 1]
    for rank in range(3):
        assert "No space left on device" in launch.said(rank)
    folder, _ = resume(_run_of(place), Place(runs_dir=Path(place["runs_dir"]), device="cpu"))
    whole, _ = train(RECIPE, Place(runs_dir=tmp_path / "whole", device="cpu"))
    assert_equal_runs(folder.path, whole.path)


def test_asked_to_stop_all_ranks_leave_after_one_checkpoint(launcher: Launcher, tmp_path: Path, place: dict):
    launch = launcher.start(RECIPE, place, 3, how=THREE, environment={"0": {"FAULT": "wish 5"}})
    assert launch.codes() == [128 + signal.SIGTERM] * 3
    assert "stopped after a checkpoint" in launch.said(2)
    sealed = json.loads((_run_of(place) / "checkpoint" / "latest.json").read_text())
    assert sealed["epoch"] == 0 and sealed["step_in_epoch"] == 7
    launcher.start(None, place, 2, resume=_run_of(place)).succeeds()
    whole, _ = train(RECIPE, Place(runs_dir=tmp_path / "whole", device="cpu"))
    assert_equal_runs(_run_of(place), whole.path)


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").exists() and _state(pid) != "Z"


def _stopped(pid: int) -> bool:
    return _alive(pid) and _state(pid) == "T"


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except FileNotFoundError:
        return "Z"
