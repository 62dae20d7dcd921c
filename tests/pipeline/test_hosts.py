"""Several hosts: the bits of one process, and what happens when the network between them is cut."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from comparing import assert_equal_runs
from hosts import CONTROL, DATA, Host, two_hosts
from launcher import Launch, Launcher, alive
from test_pipelined_equals_sequential import NETS, toy

from onward.algorithms import DeeperForward
from onward.cli import main
from onward.pipeline.run import Pipelining
from onward.runs import RunOptions, train

RECIPE = replace(toy(DeeperForward(), NETS[1]), batch_size=100)  # 12 steps in an epoch
TWO = Pipelining(stages=(2, 2))


@pytest.fixture
def hosts() -> Iterator[tuple[Host, Host]]:
    with ExitStack() as stack:
        try:
            pair = stack.enter_context(two_hosts())
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"needs the right to make network namespaces ({error})")
        yield pair


def _start(launcher: Launcher, place: dict, hosts: tuple[Host, Host], how: Pipelining = TWO, **more: str) -> Launch:
    place["checkpoint_every"] = 0.0
    environment = {str(rank): {**host.environment(), **more} for rank, host in enumerate(hosts)}
    return launcher.start(RECIPE, place, 2, how=how, environment=environment)


def _run_of(place: dict) -> Path:
    return Path(place["runs_dir"]) / "toy" / "seed-0"


def _goes_on_as_if_nothing_had_happened(launcher: Launcher, place: dict, tmp_path: Path) -> None:
    launcher.start(None, place, 2, resume=_run_of(place)).succeeds()
    whole, _ = train(RECIPE, RunOptions(runs_dir=tmp_path / "whole", device="cpu"))
    assert_equal_runs(_run_of(place), whole.path)


def _seconds_until_all_left(launch: Launch) -> float:
    since = time.monotonic()
    while any(alive(launch.pid(rank)) for rank in range(launch.world)):
        time.sleep(0.01)
        assert time.monotonic() - since < 30, [launch.said(rank) for rank in range(launch.world)]
    return time.monotonic() - since


def _await_a_checkpoint(place: dict) -> None:
    sealed, since = _run_of(place) / "checkpoint" / "latest.json", time.monotonic()
    while not sealed.exists():
        time.sleep(0.01)
        assert time.monotonic() - since < 60


@pytest.mark.slow
def test_two_hosts_give_the_bits_of_one_process(
    launcher: Launcher, tmp_path: Path, place: dict, hosts: tuple[Host, Host]
):
    launch = _start(launcher, place, hosts)
    whole, _ = train(RECIPE, RunOptions(runs_dir=tmp_path / "whole", device="cpu"))
    launch.succeeds()
    assert_equal_runs(_run_of(place), whole.path)
    assert hosts[1].received("data") > 500_000 > hosts[1].received("control")


@pytest.mark.slow
def test_a_network_that_is_pulled_out_is_noticed_on_both_sides_within_ten_seconds(
    launcher: Launcher, tmp_path: Path, place: dict, hosts: tuple[Host, Host]
):
    launch = _start(launcher, place, hosts, SLEEP="0.05 0 0.05 0")
    _await_a_checkpoint(place)
    hosts[1].pull_out("control")
    hosts[1].pull_out("data")
    assert _seconds_until_all_left(launch) < 10
    assert launch.codes() == [1, 1]
    assert "rank 1 has not been heard of for 7 seconds" in launch.said(0)
    assert "rank 1 on host-2" in launch.said(1) and "is cut off" in launch.said(1)
    _goes_on_as_if_nothing_had_happened(launcher, place, tmp_path)


@pytest.mark.slow
def test_connections_that_are_reset_are_noticed_at_once(
    launcher: Launcher, tmp_path: Path, place: dict, hosts: tuple[Host, Host]
):
    launch = _start(launcher, place, hosts, SLEEP="0.05 0 0.05 0")
    _await_a_checkpoint(place)
    hosts[1].reset(DATA)
    assert _seconds_until_all_left(launch) < 5
    for rank in (0, 1):
        assert "is gone or its connection is cut" in launch.said(rank)
    _goes_on_as_if_nothing_had_happened(launcher, place, tmp_path)


@pytest.mark.slow
def test_a_data_network_that_falls_silent_is_named_while_the_rendezvous_answers(
    launcher: Launcher, tmp_path: Path, place: dict, hosts: tuple[Host, Host]
):
    launch = _start(launcher, place, hosts, replace(TWO, patience=2.0), SLEEP="0.05 0 0.05 0")
    _await_a_checkpoint(place)
    hosts[1].pull_out("data")
    _seconds_until_all_left(launch)
    for rank in (0, 1):
        assert "nothing comes through from rank 0 to rank 1" in launch.said(rank)
    _goes_on_as_if_nothing_had_happened(launcher, place, tmp_path)


@pytest.mark.slow
def test_torchrun_on_two_hosts_starts_a_killed_rank_again_and_the_result_is_that_of_one_process(
    tmp_path: Path, hosts: tuple[Host, Host]
):
    words = ["train", "deeper_forward-digits", "--net.width", "20", "--epochs", "6", "--no-record"]
    flags = ["--runs-dir", str(tmp_path / "pipe"), "--pipeline", "--checkpoint-every", "0", "--balance", "flops"]
    agents = [_torchrun(host, tmp_path, [*words, *flags]) for host in hosts]
    run = tmp_path / "pipe" / "deeper_forward-digits" / "seed-0"
    while not (run / "checkpoint" / "latest.json").exists():
        time.sleep(0.05)
        assert all(agent.poll() is None for agent in agents)
    children = Path(f"/proc/{agents[1].pid}/task/{agents[1].pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)
    said = [agent.communicate(timeout=240)[1] for agent in agents]
    assert [agent.returncode for agent in agents] == [0, 0], said
    assert "rank 1 is gone" in said[0]
    assert main([*words, "--device", "cpu", "--runs-dir", str(tmp_path / "whole")]) == 0
    assert_equal_runs(run, tmp_path / "whole" / "deeper_forward-digits" / "seed-0")


def _torchrun(host: Host, tmp_path: Path, words: list[str]) -> subprocess.Popen:
    here = ["--local-addr", f"{CONTROL}.{host.number}", "--rdzv-conf", f"is_host={int(host.number == 1)}"]
    there = ["--rdzv-backend", "c10d", "--rdzv-id", "one", "--rdzv-endpoint", f"{CONTROL}.1:29400"]
    counts = ["--nnodes", "2", "--nproc-per-node", "1", "--max-restarts", "2"]
    launcher = [sys.executable, "-m", "torch.distributed.run", *counts, *there, *here]
    return subprocess.Popen(
        host.inside(*launcher, "-m", "onward", *words),
        env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "data"},
        stderr=subprocess.PIPE,
        text=True,
    )
