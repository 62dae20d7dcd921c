"""What a user types: torchrun, flags that belong together, and a simulated pipeline."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from comparing import assert_equal_runs

from onward.cli import main

_RECIPE = ["deeper_forward-digits", "--net.width", "20", "--epochs", "6", "--no-record", "--trainer.ema_decay", "0.9"]


def test_a_pipeline_needs_torchrun_and_its_flags_need_a_pipeline(capsys: pytest.CaptureFixture, monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    assert main(["train", "deeper_forward-digits", "--pipeline"]) == 2
    assert "start it with torchrun --nproc-per-node 2 -m onward train RECIPE --pipeline" in capsys.readouterr().err
    assert main(["train", "deeper_forward-digits", "--stages", "2", "2"]) == 2
    assert "belong to --pipeline" in capsys.readouterr().err
    assert main(["train", "deeper_forward-digits", "--patience", "9"]) == 2
    assert "belong to --pipeline" in capsys.readouterr().err
    assert main(["train", "deeper_forward-digits", "--pipeline", "--patience", "0"]) == 2
    assert "patience of Pipelining must be a finite number > 0, got 0.0" in capsys.readouterr().err


def test_a_pipeline_on_paper_says_what_limits_it(capsys: pytest.CaptureFixture):
    words = ["simulate", "deeper_forward-digits", "--net.width", "10", "--device", "cpu"]
    assert main([*words, "--stages", "1", "2", "1", "--bandwidth", "1e12", "--latency", "0"]) == 0
    fast = capsys.readouterr().out
    assert re.search(r"│\s+1\s+│\s+1-2\s+│", fast) and "limited by    stage" in fast
    assert main([*words, "--devices", "2", "--bandwidth", "1e3"]) == 0
    assert "limited by    a link" in capsys.readouterr().out


def test_replicas_on_paper_share_batches_and_add_up_gradients(capsys: pytest.CaptureFixture):
    words = ["simulate", "deeper_forward-digits", "--net.width", "10", "--device", "cpu", "--batch-size", "4000"]
    slow = ["--latency", "1.0"]  # far above what computing takes: 2 x 999 messages in a ring
    assert main([*words, "--devices", "4000", "--replicas", "1000", *slow]) == 0
    out = capsys.readouterr().out
    found = re.search(r"pipeline\s+([\d.]+) ms a step", out)
    assert found is not None and float(found[1]) / 1e3 == pytest.approx(2 * 999, rel=0.01)
    assert "1000 replicas" in out and "3-3" in out
    assert main([*words, "--devices", "4", "--replicas", "3"]) == 2
    assert "--replicas 3 must divide 4 devices and a batch of 4000 images" in capsys.readouterr().err


def test_a_pipeline_on_paper_refuses_what_cannot_be(capsys: pytest.CaptureFixture):
    assert main(["simulate", "backprop-deeper_forward-digits", "--net.width", "10", "--devices", "2"]) == 2
    assert "cannot be cut into 2 stages" in capsys.readouterr().err
    assert main(["simulate", "deeper_forward-digits", "--bandwidth", "0"]) == 2
    assert "bandwidth of LinkSpeed must be a finite number > 0" in capsys.readouterr().err
    assert main(["simulate"]) == 2
    assert "no recipe named" in capsys.readouterr().err


@pytest.mark.slow
def test_torchrun_starts_a_killed_rank_again_and_the_result_is_that_of_one_process(tmp_path: Path):
    flags = ["--runs-dir", str(tmp_path / "pipe"), "--pipeline", "--checkpoint-every", "0", "--balance", "flops"]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launcher, "--max-restarts", "2", "-m", "onward", "train", *_RECIPE, *flags]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True)
    sealed = tmp_path / "pipe" / "deeper_forward-digits" / "seed-0" / "checkpoint" / "latest.json"
    while not sealed.exists():
        time.sleep(0.05)
        assert process.poll() is None
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[1]), signal.SIGKILL)
    _, said = process.communicate(timeout=240)
    assert process.returncode == 0, said
    assert main(["train", *_RECIPE, "--device", "cpu", "--runs-dir", str(tmp_path / "whole")]) == 0
    whole = tmp_path / "whole" / "deeper_forward-digits" / "seed-0"
    assert_equal_runs(tmp_path / "pipe" / "deeper_forward-digits" / "seed-0", whole)
    assert list((tmp_path / "pipe").glob("*/*")) == [sealed.parent.parent]  # no second folder
