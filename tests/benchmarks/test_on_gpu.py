"""What runs on a GPU in one command: every part begins, ends in time and is reported; rows are filed as they come."""

import json
import signal
import sys
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def on_gpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import on_gpu  # pyright: ignore[reportMissingImports]

    yield on_gpu
    for name in ("on_gpu", "report"):
        sys.modules.pop(name, None)


PROGRAMS = {
    "tests": "print('fine')",
    "step_time": "import time; time.sleep(60)",
    "peak_memory": "raise SystemExit('out of memory')",
    "methods": "from pathlib import Path; Path('rows.json').write_text('[]')",
    "queue": "raise SystemExit('never begun')",
}


def _outcomes(on_gpu, monkeypatch: pytest.MonkeyPatch, into: Path, *words: str) -> dict[str, str]:
    monkeypatch.setattr(on_gpu, "_command", lambda part, given, folder, seconds: ["-c", PROGRAMS[part]])
    monkeypatch.setattr(on_gpu, "_ENDING", 0)
    monkeypatch.setattr(sys, "argv", ["on_gpu.py", "--into", str(into), "--device", "cpu", *words])
    assert on_gpu.main() == 1
    return {entry["part"]: entry["outcome"] for entry in json.loads((into / "summary.json").read_text())}


def test_every_part_is_told_of_whatever_becomes_of_the_others(on_gpu, monkeypatch, tmp_path):
    monkeypatch.setattr(on_gpu, "SHARES", {**on_gpu.SHARES, "step_time": 0.01})
    found = _outcomes(on_gpu, monkeypatch, tmp_path, "--minutes", "0.5")
    assert found == {
        "tests": "done",
        "step_time": "out of time",
        "peak_memory": "failed: out of memory",
        "methods": "done",
        "queue": "out of time",
    }
    assert (tmp_path / "tests.log").read_text() == "fine\n" and (tmp_path / "rows.json").exists()


def test_a_part_is_asked_to_end_also_from_the_background_of_a_shell(on_gpu, monkeypatch, tmp_path):
    asked = "import time\ntry: time.sleep(60)\nexcept KeyboardInterrupt: print('asked to end')"
    monkeypatch.setitem(PROGRAMS, "step_time", asked)
    monkeypatch.setattr(on_gpu, "SHARES", {**on_gpu.SHARES, "step_time": 0.1})
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell starts a command with & behind it
    try:
        _outcomes(on_gpu, monkeypatch, tmp_path, "--only", "step_time", "peak_memory", "--minutes", "0.5")
    finally:
        signal.signal(signal.SIGINT, before)
    assert (tmp_path / "step_time.log").read_text() == "asked to end\n"


def test_parts_can_be_chosen(on_gpu, monkeypatch, tmp_path):
    assert set(_outcomes(on_gpu, monkeypatch, tmp_path, "--only", "peak_memory")) == {"peak_memory"}


def test_commands_are_those_of_files_that_exist(on_gpu, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["on_gpu.py"])
    given = on_gpu._arguments()
    for part in [*on_gpu.SHARES, "queue"]:
        command = on_gpu._command(part, given, tmp_path, 60.0)
        files = [word for word in command if word.endswith((".py", ".txt"))]
        assert files and all(Path(file).exists() for file in files)


def test_what_is_not_installed_is_named_before_anything_runs(on_gpu, monkeypatch, capsys):
    assert on_gpu._missing() == []
    monkeypatch.setattr(on_gpu, "_installed", lambda name: name not in ("tyro", "vl-convert-python"))
    monkeypatch.setattr(sys, "argv", ["on_gpu.py"])
    assert on_gpu.main() == 2
    assert "not installed: tyro>=1.0, vl-convert-python>=1.7;" in capsys.readouterr().out


def test_rows_are_filed_as_they_come(on_gpu, tmp_path):
    from report import Order, finish  # pyright: ignore[reportMissingImports]

    def rows():
        yield {"a": 1}
        raise RuntimeError("CUDA out of memory")

    with pytest.raises(RuntimeError):
        finish("toy", Order(torch.device("cpu"), 1, False, False, into=tmp_path), "a title", rows())
    assert json.loads((tmp_path / "toy.json").read_text())["rows"] == [{"a": 1}]
