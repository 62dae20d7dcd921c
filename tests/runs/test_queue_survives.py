"""The queue survives: jobs that cannot be trained, errors of its own, other queues, children that do not leave."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from onward.cli import main
from onward.cli.queue import left
from onward.recipes import Recipe
from onward.recipes.lookup import find_recipe, imported_files
from onward.runs import RunFolder
from onward.runs.queue import Queue, stopped_run, train_command
from onward.runs.records import record
from onward.runs.result import Placement
from onward.storage.locks import held_while_open, trained_here
from toy_trainings import toy_environment, toy_result

DIGITS = find_recipe("backprop-forward_forward-digits")
DATA = toy_environment().data_checksum
_STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(60)"
)


def _queue(tmp_path: Path, code: Callable[[int], str], said: list[str], seeds: int = 2, **settings: Any) -> Queue:
    """A queue whose trainings run Python code and are done once a file named by their seed is there."""
    return Queue(
        [replace(DIGITS, seed=seed) for seed in range(seeds)],
        tmp_path / "runs",
        **{
            "command": lambda recipe, stopped: [sys.executable, "-c", code(recipe.seed)],
            "stopped": lambda recipe: None,
            "done": lambda recipe: (tmp_path / str(recipe.seed)).exists(),
            "remaining": lambda waiting: f"left: {[recipe.seed for recipe in waiting]}",
            "say": said.append,
            **settings,
        },
    )


def _touch(tmp_path: Path) -> Callable[[int], str]:
    return lambda seed: f"open({str(tmp_path / str(seed))!r}, 'w')"


def _log(tmp_path: Path, seed: int) -> Path:
    log = tmp_path / "runs" / "queue" / f"{DIGITS.name}-{seed}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    return log


def test_what_cannot_be_trained_does_not_stop_the_rest(tmp_path: Path):
    def done(recipe: Recipe) -> bool:
        if recipe.seed == 1:
            raise ValueError("no such images")
        return (tmp_path / str(recipe.seed)).exists()

    said: list[str] = []
    queue = _queue(tmp_path, _touch(tmp_path), said, seeds=3, done=done)
    assert queue.carry_out() is None
    assert (tmp_path / "0").exists() and (tmp_path / "2").exists()
    assert [job.seed for job in queue.failed] == [1] and said[0].endswith("seed 1: failed, no such images")
    assert said[1] == "0 of 3 on record; left: [0, 2]"


def test_an_error_of_its_own_leaves_no_training_behind(tmp_path: Path):
    calls: list[int] = []

    def remaining(waiting: Iterable[Recipe]) -> str:
        calls.append(1)
        if len(calls) > 1:
            raise OSError("full")
        return ""

    def code(seed: int) -> str:
        return _touch(tmp_path)(seed) if seed == 0 else "import time; time.sleep(60)"

    said: list[str] = []
    queue = _queue(tmp_path, code, said, parallel=2, remaining=remaining)
    with pytest.raises(OSError, match="full"):
        queue.carry_out()
    assert said[-1].endswith("seed 1: stopped")


def test_a_record_that_is_damaged_while_it_trains_is_not_told_as_one(tmp_path: Path):
    asked: list[Recipe] = []

    def done(recipe: Recipe) -> bool:
        asked.append(recipe)
        if len(asked) > 2:  # asked for the list and before the start
            raise ValueError("the record is damaged")
        return False

    thread = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    thread.start()
    said: list[str] = []
    queue = _queue(tmp_path, lambda seed: "import time; time.sleep(60)", said, seeds=1, done=done)
    assert queue.carry_out() == signal.SIGINT
    assert said[-1].endswith("seed 0: failed, the record is damaged") and len(queue.failed) == 1


def test_a_training_that_another_queue_has_is_left_to_it(tmp_path: Path):
    said: list[str] = []
    with _log(tmp_path, 0).open("ab") as output:
        assert held_while_open(output)
        other = subprocess.Popen(["sleep", "60"], stdout=output)  # holds it after this process has closed it

    def end_other() -> None:
        while not (tmp_path / "1").exists():
            time.sleep(0.05)
        (tmp_path / "0").touch()
        other.kill()
        other.wait()

    thread = threading.Thread(target=end_other)
    thread.start()
    queue = _queue(tmp_path, lambda seed: _touch(tmp_path)(seed) if seed else "raise SystemExit(1)", said)
    assert queue.carry_out() is None and not queue.failed
    thread.join()
    assert sum("seed 0: another process trains it" in line for line in said) == 1
    assert not any("seed 0: begun" in line for line in said)
    assert any("seed 0: on record, by another queue" in line for line in said)


def test_a_run_that_is_trained_by_hand_is_waited_for(tmp_path: Path):
    folder = RunFolder.create(tmp_path / "runs", DIGITS, toy_environment()).path
    said: list[str] = []
    queue = _queue(tmp_path, _touch(tmp_path), said, seeds=1, stopped=lambda recipe: folder)
    with trained_here(folder):
        thread = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
        thread.start()
        assert queue.carry_out() == signal.SIGINT and not queue.failed
    assert said[1:] == [said[1], "left: [0]"] and "another process trains it" in said[1]
    assert _queue(tmp_path, _touch(tmp_path), said, seeds=1, stopped=lambda recipe: folder).carry_out() is None
    assert (tmp_path / "0").exists()


def test_a_training_that_does_not_leave_is_killed_before_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("onward.runs.queue.GRACE", 1.0)
    said: list[str] = []
    queue = _queue(tmp_path, lambda seed: _STUBBORN, said, limit=4.0)
    assert queue.carry_out() is None
    assert said[-2].endswith("ended without a new checkpoint, exit code -9") and said[-1] == "left: [0, 1]"


def test_a_second_signal_kills(tmp_path: Path):
    def ask_twice() -> None:
        log = _log(tmp_path, 0)
        while not (log.exists() and log.stat().st_size):
            time.sleep(0.05)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)

    thread = threading.Thread(target=ask_twice)
    thread.start()
    said: list[str] = []
    assert _queue(tmp_path, lambda seed: _STUBBORN, said).carry_out() == signal.SIGINT
    thread.join()
    assert said[-2].endswith("exit code -9")


def test_a_failure_is_told_in_words_of_its_own_attempt(tmp_path: Path):
    _log(tmp_path, 0).write_text("stopped after a checkpoint\n")
    said: list[str] = []
    _queue(tmp_path, lambda seed: "import os; os.kill(os.getpid(), 9)", said, seeds=1).carry_out()
    assert any(line.endswith("failed, exit code -9: nothing was printed") for line in said)


def test_only_runs_that_go_on_record_are_gone_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    environment = toy_environment()
    good = RunFolder.create(tmp_path, DIGITS, environment).path
    RunFolder.create(tmp_path, DIGITS, replace(environment, data_checksum="1" * 64))
    RunFolder.create(tmp_path, DIGITS, replace(environment, record=False))
    rounded = Placement(stages=(1,), replicas=1, messages="bf16", balance="time", session="")
    RunFolder.create(tmp_path, DIGITS, replace(environment, pipeline=rounded))
    damaged = RunFolder.create(tmp_path, DIGITS, environment).path
    (damaged / "environment.json").write_text("{}")
    cut_off = RunFolder.create(tmp_path, DIGITS, environment).path
    (cut_off / "checkpoint.safetensors").write_text("{}")
    assert stopped_run(DIGITS, tmp_path, DATA) == good
    told = capsys.readouterr().err
    assert f"passed over {damaged}: " in told and f"passed over {cut_off}: " in told
    assert stopped_run(DIGITS, tmp_path, "2" * 64) is None


def test_records_of_a_recipe_that_was_changed_do_not_end_the_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    record(Path("results"), toy_result(DIGITS))
    record(Path("results"), toy_result(replace(DIGITS, epochs=DIGITS.epochs + 1, seed=1)))
    Path("results/runs/x").mkdir()
    Path("results/runs/x/seed-0.json").write_text("{")
    assert left([replace(DIGITS, seed=1)], "a machine", 1) == "1 left, about 0.1 hours"


def test_a_missing_set_in_a_plan_is_told_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    Path("data/mnist").mkdir(parents=True)
    Path("plan").write_text("mono_forward-digits 0\nbackprop-asge-mnist-cpu 0-1\nbackprop-mono_forward-digits 0\n")
    assert main(["queue", "plan", "--dry", "--data-dir", "data"]) == 2
    told = capsys.readouterr()
    assert told.out.count("has no train-*.parquet") == 2
    assert told.out.splitlines()[2:] == [
        "mono_forward-digits 0",
        "backprop-mono_forward-digits 0",
        "2 left, of unknown length on this machine",
    ]
    assert told.err == "onward: 2 failed: backprop-asge-mnist-cpu 0, backprop-asge-mnist-cpu 1\n"


def test_images_that_would_not_be_recorded_are_not_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    Path("plan").write_text("backprop-mono_forward-digits 0\n")
    half = SimpleNamespace(note="half of them", checksum="")
    monkeypatch.setattr("onward.cli.queue.load", lambda *_, **__: half)
    assert main(["queue", "plan", "--dry"]) == 2
    assert "failed, not trained, as it would not be recorded: these are half of them" in capsys.readouterr().out


def test_a_row_of_a_file_is_queued_only_where_it_would_be_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    Path("rows_queued.py").write_text(
        "from dataclasses import replace\nfrom onward.recipes.lookup import find_recipe\n"
        "SAME = find_recipe('mono_forward-digits')\nOTHER = replace(SAME, epochs=1)\nOWN = replace(SAME, name='own')\n"
    )
    for name in ("OTHER", "OWN"):
        Path("plan").write_text(f"mono_forward-digits 0\nrows_queued.py:{name} 0\n")
        assert main(["queue", "plan", "--dry"]) == 2
        said = f"plan, line 2: `onward list` does not show rows_queued.py:{name}, and only what it shows is recorded"
        assert said in capsys.readouterr().err
    Path("plan").write_text("rows_queued.py:SAME 0\n")
    assert main(["queue", "plan", "--dry"]) == 0
    files = [file for file in imported_files() if file.name == "rows_queued.py"]
    assert files == [tmp_path / "rows_queued.py"]
    command = train_command(DIGITS, None, [], files)  # what a file registers is known to the trainings as well
    assert command[1:6] == ["-m", "onward", "--with", str(files[0]), "train"]
