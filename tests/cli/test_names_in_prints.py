"""Names of files, classes and data sets come out as they are, whatever a terminal or a library would make of them."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from onward.cli import main, train
from onward.cli.tables import show_table
from onward.runs import load_model, save_model

_CLASSES = ("[red]b", ":smile:", "x\x1b]0;title\x07y")
_IMAGES = ("cat[a].png", ":smile:.png", "[bold].png", "e\x1b[2Jf.png", "line\nend.png")
_TRAIN = ["--epochs", "1", "--device", "cpu", "--no-record", "--data.size", "8", "--batch-size", "8"]


@pytest.fixture(autouse=True)
def inside_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ONWARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def data() -> str:
    for label, name in enumerate(_CLASSES):
        folder = Path("[b]data") / name
        folder.mkdir(parents=True)
        for k in range(12):
            Image.fromarray(np.full((8, 8), 80 * label + k, dtype=np.uint8)).save(folder / f"{k}.png")
    for name in _IMAGES:
        Image.fromarray(np.full((8, 8), 5, dtype=np.uint8)).save(name)
    return "./[b]data"


def _said(capsys: pytest.CaptureFixture[str]) -> str:
    out, err = capsys.readouterr()
    assert not {letter for letter in out + err if ord(letter) < 32 or 127 <= ord(letter) < 160} - {"\n"}
    return out + err


def test_every_command_shows_names_as_they_are(data: str, capsys: pytest.CaptureFixture[str]):
    words = [
        "train",
        "backprop-forward_forward-digits",
        "--data.name",
        data,
        "--net.width",
        "6",
        "--runs-dir",
        "[b]runs",
        *_TRAIN,
    ]
    assert main(words) == 0
    run = "[b]runs/backprop-forward_forward-on-_b_data/seed-0"
    assert run in _said(capsys)
    assert main(["evaluate", run]) == 0
    assert "images of " in _said(capsys)
    assert main(["predict", run, *_IMAGES]) == 0
    said = _said(capsys)
    for name in ("[red]b", ":smile:", r"x\x1b]0;title\x07y", "cat[a].png:", ":smile:.png:", "[bold].png:"):
        assert name in said, name
    assert r"e\x1b[2Jf.png:" in said and r"line\nend.png:" in said
    assert main(["predict", run, "--json", *_IMAGES]) == 0
    rows = [json.loads(line) for line in _said(capsys).splitlines()]
    assert [row["image"] for row in rows] == list(_IMAGES) and set(rows[0]["class_names"]) == set(_CLASSES)
    assert main(["report", run, "--no-cost", "--out", "[i]page"]) == 0
    assert "[i]page.html" in _said(capsys)
    assert main(["export", run, "--out", "[u]small", "--rule", "nothing"]) == 2
    assert "unknown inference rule" in _said(capsys)


@pytest.mark.parametrize("name", ["\x1b[31mred", "[/b]", "two\nlines"])
@pytest.mark.parametrize(
    "words",
    [
        ["{}"],
        ["train", "{}"],
        ["train", "--{}"],
        ["train", "--data.name", "./{}"],
        ["train", "--runs-dir", "x", "--device", "{}"],
        ["train", "--resume", "{}"],
        ["evaluate", "{}"],
        ["predict", "{}", "x.png"],
        ["export", "{}", "--out", "y"],
        ["report", "{}"],
        ["compare", "{}"],
        ["measure", "{}"],
        ["simulate", "{}"],
        ["reproduce", "{}"],
        ["results", "{}"],
        ["list", "{}"],
        ["list", "--method", "{}"],
        ["completion", "{}"],
    ],
)
def test_every_refusal_is_one_plain_line(words: list[str], name: str, capsys: pytest.CaptureFixture[str]):
    assert main([word.format(name) for word in words]) == 2
    said = _said(capsys)
    assert said.startswith("onward: ") and said.count("\n") == 1


def test_tables_show_names_as_they_are(capsys: pytest.CaptureFixture[str]):
    show_table("a [/b] \x1b[2J", ["", "[/b]", ":smile:\x07"], [("[red]r\n", ["1.0", "2.0"])])
    said = _said(capsys)
    for name in (r"a [/b] \x1b[2J", "[/b]", r":smile:\x07", r"[red]r\n"):
        assert name in said


def test_an_image_that_cannot_be_read_leaves_the_answers_of_the_others(data: str, capsys: pytest.CaptureFixture[str]):
    assert main(["train", "backprop-forward_forward-digits", "--data.name", data, "--net.width", "6", *_TRAIN]) == 0
    run = Path("runs/backprop-forward_forward-on-_b_data/seed-0")
    Path("bad.png").write_bytes(b"no image")
    capsys.readouterr()
    asked = [_IMAGES[0], "bad.png", "*.png", "https://example.org/cat.png", "-", _IMAGES[1]]
    assert main(["predict", str(run), "--json", *asked]) == 2
    out, err = capsys.readouterr()
    assert [json.loads(line)["image"] for line in out.splitlines()] == [_IMAGES[0], _IMAGES[1]]
    lines = err.splitlines()
    assert len(lines) == 4 and all(line.startswith("onward: ") for line in lines)
    for line, says in zip(
        lines,
        ["bad.png", "let the shell expand it", "https://example.org/cat.png is a URL", "input"],
        strict=True,
    ):
        assert says in line
    assert main(["predict", str(run / "model.safetensors"), _IMAGES[0]]) == 2
    assert f"is a file: name the folder of the run, {run}" in capsys.readouterr().err


def test_prediction_is_that_of_evaluation_and_the_network_runs_once(
    data: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    words = ["train", "deeper_forward-digits", "--data.name", data, "--net.width", "6", "--trainer.precision", "bf16"]
    assert main([*words, *_TRAIN]) == 0
    run = "runs/deeper_forward-on-_b_data/seed-0"
    learner, spec = load_model(run)
    calls, dtypes = [], set()

    def note(module: object, inputs: object, output: torch.Tensor) -> None:
        calls.append(len(output))
        dtypes.add(output.dtype)

    learner.blocks[1].body.register_forward_hook(note)
    monkeypatch.setattr("onward.cli.predict.load_model", lambda _: (learner, spec))
    monkeypatch.setattr("onward.cli.predict._BATCH", 2)
    assert main(["predict", run, *_IMAGES]) == 0
    assert calls == [2, 2, 1] and dtypes == {torch.bfloat16}


def test_scores_that_are_not_finite_are_refused_and_never_printed(data: str, capsys: pytest.CaptureFixture[str]):
    assert main(["train", "backprop-forward_forward-digits", "--data.name", data, "--net.width", "6", *_TRAIN]) == 0
    run = Path("runs/backprop-forward_forward-on-_b_data/seed-0")
    learner, spec = load_model(run)
    next(learner.blocks[0].parameters()).data.fill_(float("nan"))
    monkey = pytest.MonkeyPatch()
    monkey.setattr("onward.cli.predict.load_model", lambda _: (learner, spec))
    for words in ([], ["--json"]):
        capsys.readouterr()
        assert main(["predict", str(run), _IMAGES[0], *words]) == 2
        out, err = capsys.readouterr()
        assert not out and "the scores are not finite" in err
    monkey.undo()


@pytest.mark.parametrize("which", ["stdout", "stderr"])
def test_a_reader_that_leaves_costs_neither_training_nor_report(which: str, data: str, monkeypatch: pytest.MonkeyPatch):
    words = ["train", "backprop-forward_forward-digits", "--data.name", data, "--net.width", "6", *_TRAIN]
    run = Path("runs/backprop-forward_forward-on-_b_data/seed-0")
    for command in (words, ["report", str(run), "--no-cost"]):
        reader, writer = os.pipe()
        os.close(reader)
        with open(writer, "w", encoding="utf-8") as stream, monkeypatch.context() as patch:
            patch.setattr(sys, which, stream)
            assert main(command) == 0
    assert (run / "result.json").is_file()
    assert Path("report.html").is_file() and Path("report.json").is_file()


@pytest.mark.parametrize("error", [MemoryError("no"), RuntimeError("DefaultCPUAllocator: can't allocate memory: 9")])
def test_too_little_memory_is_one_line_wherever_it_is_found(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(train, "train", fail)
    assert main(["train", "deeper_forward-digits"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "too little memory" in line and "--batch-size" in line


def test_a_network_that_no_memory_holds_is_one_line(capsys: pytest.CaptureFixture[str]):
    assert main(["train", "deeper_forward-digits", "--net.width", str(10**6), "--device", "cpu"]) == 2
    *before, line = capsys.readouterr().err.splitlines()
    assert before in ([], ["reading digits"]) and "there is too little memory" in line


def test_a_full_disk_behind_standard_output_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with open("/dev/full", "w", encoding="utf-8") as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        assert main(["list"]) == 2
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    (line,) = capsys.readouterr().err.splitlines()
    assert "No space left" in line


def test_saving_keeps_class_names_as_they_are(data: str, tmp_path: Path):
    assert main(["train", "backprop-forward_forward-digits", "--data.name", data, "--net.width", "6", *_TRAIN]) == 0
    learner, spec = load_model("runs/backprop-forward_forward-on-_b_data/seed-0")
    save_model(tmp_path / "another", learner, spec)
    assert load_model("another")[1].class_names == tuple(sorted(_CLASSES))
