"""Nothing grows with the number of steps."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from launcher import Launcher
from test_pipelined_equals_sequential import NETS, toy

from onward.algorithms import DeeperForward
from onward.pipeline.run import Pipelining


@pytest.mark.slow
def test_memory_of_every_rank_is_flat_over_two_thousand_steps(launcher: Launcher, place: dict):
    recipe = replace(toy(DeeperForward(), NETS[0]), batch_size=64, epochs=100)  # 20 steps in an epoch
    launch = launcher.start(recipe, place, 2, how=Pipelining(stages=(2, 2)))
    half, end = {}, {}
    for rank in (0, 1):
        launch.pid(rank)
    metrics = Path(place["runs_dir"]) / "toy" / "seed-0" / "metrics.jsonl"
    while not (launch.folder / "codes-0.json").exists():
        epochs = metrics.read_text().count("\n") if metrics.exists() else 0
        now = {rank: size for rank in (0, 1) if (size := _resident(launch.pid(rank)))}
        if 20 <= epochs < 25 and len(now) == 2:
            half = now
        if 90 <= epochs < 99 and len(now) == 2:
            end = now
        time.sleep(0.02)
    launch.succeeds()
    print(f"resident kB by rank: {half} in the middle, {end} at the end")
    for rank in (0, 1):
        assert end[rank] < 1.02 * half[rank]


def _resident(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except FileNotFoundError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)
