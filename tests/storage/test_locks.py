"""Locks: a run is carried out once at a time, and whoever holds it lets go when its process ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import lock_descriptor

from onward.recipes import Recipe
from onward.runs import Interrupted, RunOptions, resume, train
from onward.storage import locks
from onward.storage.locks import trained_here
from onward.training.losses import LossLog

_HOLD_AND_DIE = """
import os, signal, sys, time
from pathlib import Path
from onward.storage.locks import trained_here
with trained_here(Path(sys.argv[1])):
    worker = os.fork()
    if worker == 0:
        print(os.getpid(), flush=True)
        os.close(1)
        time.sleep(600)
    signal.pause()
"""


def test_a_run_in_training_is_not_gone_on_with(toy_recipe: Recipe, place: RunOptions, monkeypatch: pytest.MonkeyPatch):
    path, note, busy = place.runs_dir / "toy" / "seed-0", LossLog.note, []

    def meddle(log: LossLog, losses, ends, step: int) -> None:
        note(log, losses, ends, step)
        if step in (2, 7) and step not in busy:
            busy.append(step)
            with pytest.raises(ValueError, match="seed-0 is being trained by another process; wait for it or stop it"):
                resume(path, place)
        if step == 5:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(LossLog, "note", meddle)
    with pytest.raises(Interrupted):
        train(toy_recipe, place)
    folder, _ = resume(path, place)
    assert busy == [2, 7]
    assert [row["epoch"] for row in folder.metrics()] == [0, 1, 2]


def test_a_run_that_another_process_just_finished_is_not_trained_again(
    toy_recipe: Recipe, place: RunOptions, monkeypatch: pytest.MonkeyPatch
):
    folder, result = train(replace(toy_recipe, epochs=1), place)
    last = ("model.json", "result.json")  # what a run writes at its end
    for name in last:
        (folder.path / name).rename(folder.path / f"hidden-{name}")

    @contextmanager
    def finish_first(run: Path) -> Iterator[None]:
        for name in last:
            (run / f"hidden-{name}").rename(run / name)
        yield

    module = sys.modules["onward.runs.train"]  # the package calls its function by the same name
    monkeypatch.setattr(module, "trained_here", finish_first)
    monkeypatch.setattr(module, "_carry_out", lambda *_: pytest.fail("nothing is left to train"))
    assert resume(folder.path, place)[1].test_accuracy == result.test_accuracy


def test_a_killed_process_lets_go_even_if_a_worker_outlives_it(tmp_path: Path):
    (tmp_path / "config.json").write_text("{}")
    process = subprocess.Popen([sys.executable, "-c", _HOLD_AND_DIE, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    try:
        with pytest.raises(ValueError, match="is being trained"), trained_here(tmp_path):
            pass
        process.kill()
        process.wait()
        with trained_here(tmp_path):
            os.kill(worker, 0)  # the worker is still there
    finally:
        process.stdout.close()
        process.kill()
        process.wait()
        os.kill(worker, signal.SIGKILL)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_where_a_locked_file_cannot_be_read_the_lock_lies_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As on Windows: config.json is read while its run is trained, and lines are read while some are added."""
    monkeypatch.setattr(locks, "_SHUTS_OUT_READERS", True)
    (tmp_path / "config.json").write_text("{}")
    with trained_here(tmp_path):
        assert (tmp_path / "config.json.lock").exists()
        with (tmp_path / "config.json").open("rb") as file:
            assert lock_descriptor(file.fileno(), blocking=False), "the file itself is free"
        with pytest.raises(ValueError, match="is being trained by another process"), trained_here(tmp_path):
            pass
    with locks.appended_here(tmp_path / "lines.jsonl") as file:
        file.write(b"a")
    with locks.appended_here(tmp_path / "lines.jsonl") as file:
        file.write(b"b")
    assert (tmp_path / "lines.jsonl").read_bytes() == b"ab"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "lines.jsonl"]


def test_a_file_system_without_locks_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> bool:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(locks, "lock_descriptor", refuse)
    (tmp_path / "config.json").write_text("{}")
    with trained_here(tmp_path):
        pass
    with locks.appended_here(tmp_path / "lines.jsonl") as file:
        file.write(b"a")
    assert (tmp_path / "lines.jsonl").read_bytes() == b"a"
