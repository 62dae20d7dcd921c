"""A rank that is killed, hangs, fails or differs is noticed within ten seconds, named by all, and nothing is lost."""

import json
import os
import random
import re
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from comparing import assert_equal_runs
from launcher import Launcher, alive, state
from test_pipelined_equals_sequential import NETS, toy

from onward.algorithms import DeeperForward
from onward.pipeline import run as pipelined
from onward.pipeline.faults import BEAT, GRACE, LOST_AFTER
from onward.pipeline.run import Pipelining
from onward.runs import RunOptions, resume, train
from onward.storage.locks import trained_here

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
    late = "kill 22"  # the last rank may lag eight steps behind the first, and has to be in the second epoch
    launch = launcher.start(RECIPE, place, 3, how=THREE, restarts=1, environment={str(rank): {"FAULT": late}})
    whole, _ = train(RECIPE, RunOptions(runs_dir=tmp_path / "whole", device="cpu"))
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
    while any(alive(launch.pid(rank)) for rank in (0, 2)):
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
    if alive(victim):
        os.kill(victim, signal.SIGKILL)
    whole, _ = train(RECIPE, RunOptions(runs_dir=tmp_path / "whole", device="cpu"))
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


def test_any_change_of_the_code_is_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = Path(pipelined.__file__).parent.parent
    copy = shutil.copytree(source, tmp_path / "onward", ignore=shutil.ignore_patterns("__pycache__"))
    before = pipelined._source_digest()
    monkeypatch.setattr(pipelined, "__file__", str(copy / "runs" / "pipelined.py"))
    assert pipelined._source_digest() == before
    with (copy / "parts" / "goodness.py").open("a") as file:
        file.write("# another\n")
    assert pipelined._source_digest() != before


def test_other_data_are_named(launcher: Launcher, place: dict):
    launch = launcher.start(RECIPE, place, 2, environment={"1": {"FAULT": "data"}})
    assert launch.codes() == [1, 1]
    for rank in range(2):
        assert "rank 1 has another data checksum than rank 0" in launch.said(rank)


@pytest.mark.parametrize(("rank", "fault"), [(1, "full 5"), pytest.param(2, "full_at_end", marks=pytest.mark.slow)])
def test_a_full_disk_on_one_rank_is_named_and_the_checkpoint_before_it_stays(
    launcher: Launcher, tmp_path: Path, place: dict, rank: int, fault: str
):
    place["checkpoint_every"] = 0.0
    launch = launcher.start(RECIPE, place, 3, how=THREE, environment={str(rank): {"FAULT": fault}})
    assert launch.codes() == [1, 1, 1]
    for rank in range(3):
        assert "No space left on device" in launch.said(rank)
    folder, _ = resume(_run_of(place), RunOptions(runs_dir=Path(place["runs_dir"]), device="cpu"))
    whole, _ = train(RECIPE, RunOptions(runs_dir=tmp_path / "whole", device="cpu"))
    assert_equal_runs(folder.path, whole.path)


def test_a_disk_that_is_really_full_is_named_too(launcher: Launcher, tmp_path: Path, place: dict):
    place["checkpoint_every"] = 0.0
    launch = launcher.start(RECIPE, place, 3, how=THREE, environment={"1": {"FAULT": "small_disk 5"}})
    assert launch.codes() == [1, 1, 1]
    if "needs the right to mount" in launch.said(1):
        pytest.skip("needs the right to mount a small disk")
    for rank in range(3):
        assert "No space left on device" in launch.said(rank) and ("rank 1 on " in launch.said(rank) or rank == 1)
    launcher.start(None, place, 2, resume=_run_of(place)).succeeds()
    whole, _ = train(RECIPE, RunOptions(runs_dir=tmp_path / "whole", device="cpu"))
    assert_equal_runs(_run_of(place), whole.path)


@pytest.mark.parametrize("fault", ["loop 15", pytest.param("dead_disk 15", marks=pytest.mark.slow)])
def test_a_rank_that_lives_but_makes_no_progress_is_named_and_a_restart_goes_on(
    launcher: Launcher, tmp_path: Path, place: dict, fault: str
):
    place["checkpoint_every"] = 0.0
    how = replace(THREE, patience=2.0)
    launch = launcher.start(RECIPE, place, 3, how=how, restarts=1, environment={"1": {"FAULT": fault}})
    assert launch.codes() == [1, 1, 1]
    doing = "_loop, faults_made.py" if fault == "loop 15" else "waits, faults_made.py"
    for rank in range(3):
        assert re.search(r"rank 1 on .*, with blocks 1 to 2, lives but makes no progress", launch.said(rank))
        assert doing in launch.said(rank)
    assert launch.codes(1) == [0, 0, 0], [launch.said(k, 1) for k in range(3)]
    whole, _ = train(RECIPE, RunOptions(runs_dir=tmp_path / "whole", device="cpu"))
    assert_equal_runs(_run_of(place), whole.path)


def test_waiting_and_fitting_are_not_taken_for_standing_still(launcher: Launcher, place: dict):
    how = replace(THREE, patience=1.5)  # while the last rank fits, the first two wait longer than that
    launch = launcher.start(RECIPE, place, 3, how=how, environment={"2": {"FAULT": "slow_fit 3"}})
    assert launch.codes() == [0, 0, 0], [launch.said(rank) for rank in range(3)]


@pytest.mark.parametrize("rank", [1, pytest.param(0, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)])
def test_a_connection_that_is_cut_is_named_by_the_ranks_at_its_ends(
    launcher: Launcher, tmp_path: Path, place: dict, rank: int
):
    place["checkpoint_every"] = 0.0
    launch = launcher.start(RECIPE, place, 3, how=THREE, restarts=1, environment={str(rank): {"FAULT": "cut 15"}})
    assert launch.codes() == [1, 1, 1]
    for other in range(3):
        named = re.search(r"rank (\d) is gone or its connection is cut: .* rank (\d) \(", launch.said(other))
        assert named is not None and str(rank) in named.groups(), launch.said(other)
    assert launch.codes(1) == [0, 0, 0], [launch.said(k, 1) for k in range(3)]
    whole, _ = train(RECIPE, RunOptions(runs_dir=tmp_path / "whole", device="cpu"))
    assert_equal_runs(_run_of(place), whole.path)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_connection_that_falls_silent_is_named_when_all_have_waited_long_enough(
    launcher: Launcher, place: dict, rank: int
):
    how = replace(THREE, patience=2.0)
    launch = launcher.start(RECIPE, place, 3, how=how, environment={str(rank): {"FAULT": "silence 5"}})
    assert launch.codes() == [1, 1, 1]
    for other in range(3):
        assert f"nothing comes through from rank {rank} to rank {rank + 1}" in launch.said(other)


def test_asked_to_stop_all_ranks_leave_after_one_checkpoint(launcher: Launcher, tmp_path: Path, place: dict):
    launch = launcher.start(RECIPE, place, 3, how=THREE, environment={"0": {"FAULT": "signal 5"}})
    assert launch.codes() == [128 + signal.SIGTERM] * 3
    assert "stopped after a checkpoint" in launch.said(2)
    sealed = json.loads((_run_of(place) / "checkpoint" / "latest.json").read_text())
    assert sealed["epoch"] == 0 and sealed["step_in_epoch"] == 7
    with trained_here(_run_of(place)):  # as another process that has gone on with it
        refused = launcher.start(None, place, 2, resume=_run_of(place))
        assert refused.codes() == [1, 1]
    for rank in range(2):
        assert "seed-0 is being trained by another process" in refused.said(rank)
    launcher.start(None, place, 2, resume=_run_of(place)).succeeds()
    whole, _ = train(RECIPE, RunOptions(runs_dir=tmp_path / "whole", device="cpu"))
    assert_equal_runs(_run_of(place), whole.path)


def _stopped(pid: int) -> bool:
    return state(pid) == "T"
