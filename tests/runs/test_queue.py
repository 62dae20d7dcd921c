"""The queue: what it trains, in which order, what it leaves for later, and what it says."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from onward.cli import main
from onward.recipes import RECIPES, Recipe
from onward.recipes.lookup import find_recipe
from onward.runs import RunFolder
from onward.runs.queue import Queue, expected_seconds, is_recorded, read_plan, stopped_run, train_command
from onward.runs.records import Record, record
from onward.storage.files import write_json
from onward.storage.locks import trained_here
from toy_trainings import toy_environment, toy_result

DIGITS = find_recipe("backprop-forward_forward-digits")
DATA = toy_environment().data_checksum
_TRAIN = """
import signal, sys, time
name, seconds = sys.argv[1], float(sys.argv[2])
def stop(*_):
    open(name + ".stopped", "w").close()
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
open(name + ".begun", "w").close()
time.sleep(seconds)
open(name + ".done", "w").close()
"""


def _queue(tmp_path: Path, seconds: dict[int, float], said: list[str], **settings: Any) -> Queue:
    """A queue whose trainings sleep and leave a file; seeds without a length fail."""

    def command(recipe: Recipe, stopped: Path | None) -> list[str]:
        length = seconds.get(recipe.seed)
        if length is None:
            return [sys.executable, "-c", "print('begin'); raise SystemExit('no such data')"]
        return [sys.executable, "-c", _TRAIN, str(tmp_path / str(recipe.seed)), str(length)]

    def remaining(waiting: Iterable[Recipe]) -> str:
        return f"left: {[recipe.seed for recipe in waiting]}"

    return Queue(
        [replace(DIGITS, seed=seed) for seed in range(4)],
        tmp_path / "runs",
        **{
            "command": command,
            "stopped": lambda recipe: None,
            "done": lambda recipe: (tmp_path / f"{recipe.seed}.done").exists(),
            "remaining": remaining,
            "say": said.append,
            **settings,
        },
    )


def _files(tmp_path: Path, ending: str) -> list[int]:
    return sorted(int(path.stem) for path in tmp_path.glob(f"*.{ending}"))


def test_what_is_on_record_is_passed_over_and_what_fails_does_not_stop_the_rest(tmp_path: Path):
    (tmp_path / "1.done").touch()
    said: list[str] = []
    queue = _queue(tmp_path, {0: 0.0, 3: 0.0}, said)
    assert queue.carry_out() is None
    assert _files(tmp_path, "begun") == [0, 3]
    assert [job.seed for job in queue.failed] == [2]
    assert said[0] == "1 of 4 on record; left: [0, 2, 3]"
    assert any("seed 2: failed, exit code 1: no such data" in line for line in said)
    assert said[-1] == "left: []; 1 failed"
    log = tmp_path / "runs" / "queue" / f"{DIGITS.name}-2.log"
    assert log.read_text().split() == ["begin", "no", "such", "data"]


def test_a_time_limit_stops_trainings_after_their_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("onward.runs.queue.GRACE", 1.0)
    said: list[str] = []
    queue = _queue(tmp_path, {0: 60.0, 1: 60.0, 2: 60.0, 3: 60.0}, said, parallel=2, limit=4.0)
    began = time.monotonic()
    assert queue.carry_out() is None
    assert time.monotonic() - began < 20
    assert _files(tmp_path, "begun") == _files(tmp_path, "stopped") == [0, 1]
    assert sum("stopped after a checkpoint" in line for line in said) == 2


def test_a_signal_is_handed_on_and_returned(tmp_path: Path):
    queue = _queue(tmp_path, {0: 60.0, 1: 60.0, 2: 60.0, 3: 60.0}, [])
    before = signal.getsignal(signal.SIGTERM)

    def ask() -> None:
        while not (tmp_path / "0.begun").exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=ask)
    thread.start()
    assert queue.carry_out() == signal.SIGTERM
    thread.join()
    assert _files(tmp_path, "stopped") == [0] and signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("setting", "said"),
    [({"parallel": 0}, "--parallel must be at least 1, got 0"), ({"limit": 3.6}, "--hours must leave more than 45")],
)
def test_impossible_settings_are_refused(tmp_path: Path, setting: dict[str, Any], said: str):
    with pytest.raises(ValueError, match=said):
        _queue(tmp_path, {}, [], **setting)


def test_a_folder_of_runs_that_is_none_is_named_once_and_not_by_every_job(tmp_path: Path):
    (tmp_path / "runs").write_text("no folder")
    queue = _queue(tmp_path, {}, [])
    with pytest.raises(ValueError, match=r"no log can be written in .*queue: .*; name another --runs-dir"):
        queue.carry_out()
    assert not queue.failed


def test_a_plan_is_read_line_by_line(tmp_path: Path):
    plan = tmp_path / "plan.txt"
    plan.write_text("# first\nbackprop-digits-mlp 0-2  # three\n\nmono_forward-digits 4 7\nbackprop-digits-mlp 1\n")
    jobs = [(job.name, job.seed) for job in read_plan(plan, find_recipe)]
    assert jobs == [
        *[("backprop-forward_forward-digits", k) for k in range(3)],
        *[("mono_forward-digits", k) for k in (4, 7)],
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("mono_forward-digts 0", r"line 2: unknown recipe 'mono_forward-digts' \(did you mean mono_forward-digits"),
        ("backprop-forward_forward-digits", "line 2: give its seeds too"),
        ("backprop-forward_forward-digits 3-1", "line 2: '3-1' names no seeds"),
        ("backprop-forward_forward-digits -1", "line 2: '-1' names no seeds"),
        ("backprop-forward_forward-digits 0,1", "line 2: '0,1' names no seeds"),
        (f"backprop-forward_forward-digits {2**63}", "names no seeds; write 0 or 0-4, up to 9223372036854775807"),
    ],
)
def test_a_line_that_cannot_be_understood_is_named(tmp_path: Path, line: str, said: str):
    plan = tmp_path / "plan.txt"
    plan.write_text(f"# a plan\n{line}\n")
    with pytest.raises(ValueError, match=said):
        read_plan(plan, find_recipe)


@pytest.mark.parametrize("text", ["", "\n# mono_forward-digits 0\n"])
def test_a_plan_without_a_job_is_not_one_that_is_done(tmp_path: Path, text: str):
    plan = tmp_path / "plan.txt"
    plan.write_text(text)
    with pytest.raises(ValueError, match=r"plan\.txt names no recipe: write one and its seeds on each line"):
        read_plan(plan, find_recipe)


def test_a_record_counts_for_its_own_images_and_settings(tmp_path: Path):
    record(tmp_path, toy_result(DIGITS, data_note="half"))
    assert is_recorded(DIGITS, tmp_path, "half")
    assert not is_recorded(DIGITS, tmp_path, "")
    assert not is_recorded(replace(DIGITS, seed=1), tmp_path, "half")
    assert not is_recorded(replace(DIGITS, epochs=99), tmp_path, "half")


def test_the_time_left_comes_from_records_of_the_device():
    def records(recipe: Recipe, **more: Any) -> list[Record]:
        return [Record(recipe, toy_result(recipe, **more))]

    assert expected_seconds(DIGITS, records(replace(DIGITS, seed=3)), "a machine") == 90.0
    assert expected_seconds(DIGITS, records(DIGITS), "elsewhere") is None
    twice = replace(DIGITS, epochs=2 * DIGITS.epochs, batch_size=7)
    assert expected_seconds(twice, records(DIGITS), "a machine") == 180.0
    assert expected_seconds(RECIPES[0], records(DIGITS), "a machine") is None


def _begun(runs: Path, recipe: Recipe, **more: Any) -> Path:
    return RunFolder.create(runs, recipe, replace(toy_environment(), **more)).path


def test_the_latest_run_of_the_same_training_is_gone_on_with(tmp_path: Path):
    assert stopped_run(DIGITS, tmp_path, DATA) is None
    _begun(tmp_path, DIGITS)
    other = _begun(tmp_path, replace(DIGITS, epochs=99))
    assert stopped_run(DIGITS, tmp_path, DATA) == tmp_path / DIGITS.name / "seed-0"
    paths = [_begun(tmp_path, DIGITS) for _ in range(9)]
    assert (
        stopped_run(DIGITS, tmp_path, DATA) == paths[-1] and paths[-1].name == "seed-0-11" and other.name == "seed-0-2"
    )
    assert stopped_run(replace(DIGITS, seed=1), tmp_path, DATA) is None
    assert train_command(DIGITS, None, ["--device", "cpu"])[3:] == [
        "train",
        DIGITS.name,
        "--seed",
        "0",
        "--device",
        "cpu",
    ]
    assert train_command(DIGITS, other, [])[3:] == ["train", "--resume", str(other)]


def test_a_run_in_training_is_not_read_while_it_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    begun, read = _begun(tmp_path, DIGITS), list[Path]()
    monkeypatch.setattr(RunFolder, "load_checkpoint", lambda folder: read.append(folder.path))
    with trained_here(begun):
        assert stopped_run(DIGITS, tmp_path, DATA) == begun and not read
    assert stopped_run(DIGITS, tmp_path, DATA) == begun and read == [begun]


def test_what_was_begun_or_filed_under_a_name_of_before_counts(tmp_path: Path):
    old = replace(DIGITS, name="backprop-digits-mlp")
    begun = _begun(tmp_path, old)
    assert begun.parent.name == "backprop-digits-mlp" and stopped_run(DIGITS, tmp_path, DATA) == begun
    assert stopped_run(DIGITS, tmp_path / "elsewhere", DATA) is None
    again = _begun(tmp_path, DIGITS)
    assert stopped_run(DIGITS, tmp_path, DATA) == again
    path = tmp_path / "runs" / "backprop-digits-mlp" / "seed-0.json"
    path.parent.mkdir(parents=True)
    write_json(path, toy_result(old).to_json())
    assert is_recorded(DIGITS, tmp_path, "") and not is_recorded(replace(DIGITS, seed=1), tmp_path, "")


def test_the_command_trains_what_is_missing_and_says_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    Path("plan.txt").write_text("backprop-mono_forward-digits 0-1\n")
    Path("runs/queue/backprop-mono_forward-digits-1.log").mkdir(parents=True)  # cannot be written
    assert main(["queue", "plan.txt", "--dry"]) == 0
    assert capsys.readouterr().out == (
        "backprop-mono_forward-digits 0\nbackprop-mono_forward-digits 1\n2 left, of unknown length on this machine\n"
    )
    assert main(["queue", "plan.txt"]) == 2
    told = capsys.readouterr()
    assert "0 of 2 on record" in told.out and "seed 0: on record after" in told.out and "1 left" in told.out
    assert told.err.strip() == "onward: 1 failed: backprop-mono_forward-digits 1"
    filed = json.loads(Path("results/runs/backprop-mono_forward-digits/seed-0.json").read_text())
    assert filed["test_accuracy"] > 0.9


def test_nothing_is_done_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    Path("plan.txt").write_text("backprop-forward_forward-digits 0\n")
    record(Path("results"), toy_result(DIGITS))
    assert main(["queue", "plan.txt"]) == 0
    assert capsys.readouterr().out == "1 of 1 on record; nothing is left\n"
    assert not Path("runs").exists()


def test_a_plan_of_a_thousand_million_seeds_is_refused(tmp_path: Path):
    plan = tmp_path / "plan"
    plan.write_text("backprop-forward_forward-digits 0-999999999\n")
    with pytest.raises(ValueError, match=r"plan, line 1: '0-999999999' names 1000000000 seeds: name 10000 at most"):
        read_plan(plan, find_recipe)


def test_a_plan_is_utf_8_whatever_the_machine_speaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    plan = tmp_path / "plan"
    plan.write_bytes("\ufeff# für später\nbackprop-digits-mlp 0\n".encode())
    assert [job.name for job in read_plan(plan, find_recipe)] == [DIGITS.name]
    plan.write_bytes(b"# f\xfcr\n")
    with pytest.raises(ValueError, match=r"plan is no text in UTF-8 \(byte 3\): save it as UTF-8"):
        read_plan(plan, find_recipe)
    with pytest.raises(ValueError, match=r"cannot be read \(Is a directory\): name a file of recipes and seeds"):
        read_plan(tmp_path, find_recipe)
