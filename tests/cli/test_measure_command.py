"""`onward measure`: a table, a file, and one clear line for every mistake; `--memory-limit` of `onward train`."""

from functools import partial
from pathlib import Path

import pytest

from onward.cli import main
from onward.costs.step import ProcessMemory
from onward.storage.files import read_json

_QUICK = ["--net.width", "10", "--device", "cpu", "--batch-size", "16"]


@pytest.fixture(autouse=True)
def inside_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ONWARD_DATA", raising=False)


def _error(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(list(words)) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("onward: "), lines
    return lines[0]


def test_measure_shows_and_writes_what_it_found(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    import onward.costs.step_benchmark as measuring

    monkeypatch.setattr(measuring, "fresh_process", lambda *_, **__: ProcessMemory(10**6, 3 * 10**6))
    monkeypatch.setattr(measuring, "peak_rate", partial(measuring.peak_rate, seconds=0.01))
    words = ["measure", "deeper_forward-digits", *_QUICK, "--steps", "1", "--micro-batches", "2"]
    assert main([*words, "--json", "step.json"]) == 0
    out = capsys.readouterr().out
    for word in (
        "DeeperForward",
        "2 micro-batches",
        "GFLOP",
        "images/s",
        "activations",
        "floor",
        "handoff",
        "digits",
        "mJ",
    ):
        assert word in out, word
    found = read_json(Path("step.json"))
    assert [row["name"] for row in found["contenders"]][:2] == ["DeeperForward", "backprop"]
    assert "3.0" in next(line for line in out.splitlines() if "process, at most" in line)
    assert not Path("runs").exists() and not Path("results").exists()


def test_help_fits_a_screen(capsys: pytest.CaptureFixture[str]):
    assert main(["measure", "--help"]) == 0
    out = capsys.readouterr().out
    assert 10 < len(out.splitlines()) < 50
    assert all(len(line) <= 120 for line in out.splitlines())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "no recipe named"),
        (["--steps", "2"], "no recipe named"),
        (["deeper_forward-digit"], "did you mean deeper_forward-digits"),
        (["deeper_forward-digits", "--steps", "0"], "--steps must be at least 1, got 0"),
        (["deeper_forward-digits", "--micro-batches", "0"], "--micro-batches must be at least 1, got 0"),
        (["deeper_forward-digits", "--setps", "1"], "did you mean --steps"),
        (["deeper_forward-digits", "--device", "nowhere"], "nowhere"),
        (["deeper_forward-digits", "--data.name", "./nowhere"], "nowhere"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], says: str, capsys: pytest.CaptureFixture[str]):
    assert says in _error(capsys, "measure", *words)


def test_training_within_a_limit_says_what_it_chose(capsys: pytest.CaptureFixture[str]):
    words = ["train", "--epochs", "1", *_QUICK]
    assert main([*words, "--memory-limit", "1.2MB"]) == 0
    assert "memory limit  1.2MB: " in capsys.readouterr().out
    config = read_json(Path("runs/deeper_forward-digits/seed-0/config.json"))["recipe"]
    assert config["trainer"]["micro_batches"] >= 1


def test_a_limit_that_is_too_small_names_the_floor(capsys: pytest.CaptureFixture[str]):
    line = _error(capsys, "train", *_QUICK, "--memory-limit", "10kB")
    assert "does not fit into 0.0 MB" in line and "--batch-size" in line
    assert "is not a size" in _error(capsys, "train", *_QUICK, "--memory-limit", "little")
    assert not Path("runs").exists()


def test_a_network_that_spikes_shows_what_its_spikes_cost(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    import onward.costs.step_benchmark as measuring

    monkeypatch.setattr(measuring, "fresh_process", lambda *_, **__: ProcessMemory(10**6, 3 * 10**6))
    monkeypatch.setattr(measuring, "peak_rate", partial(measuring.peak_rate, seconds=0.01))
    words = ["measure", "ffgaf_snn-digits", "--net.width", "2", "--device", "cpu", "--batch-size", "8", "--steps", "1"]
    assert main([*words, "--json", "step.json"]) == 0
    assert "spikes/neuron, image" in capsys.readouterr().out
    own, *controls = read_json(Path("step.json"))["contenders"]
    assert own["spikes"]["spikes_per_neuron"] > 0 and len(own["spikes"]["layers"]) == 4
    assert all(row["spikes"] is None for row in controls)


@pytest.mark.parametrize("way", [["--curve"], []])
def test_a_file_that_could_not_be_written_is_refused_before_anything_is_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, way: list[str]
):
    for name in ("measure", "_curve"):
        monkeypatch.setattr(f"onward.cli.measure.{name}", lambda *_, **__: pytest.fail("measured"))
    words = ["measure", "deeper_forward-digits", *_QUICK, *way, "--json", "nowhere/file.json"]
    assert "--json nowhere/file.json cannot be written: name a file in a folder" in _error(capsys, *words)
