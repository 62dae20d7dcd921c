"""The command line: export, and what can be done with an exported model."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import onward
from onward.cli import main
from onward.cli.arguments import parse
from onward.cli.export import ExportArguments, _learning
from onward.export import Learning, export
from onward.export.page import LESSONS
from onward.parts.inference.scores import BestRange
from onward.runs import load_model, save_model
from onward.storage.files import read_json


@pytest.fixture(autouse=True)
def inside_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ONWARD_DATA", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> str:
    """A run whose best range is made to end at block 1."""
    assert main(["train", "--epochs", "1", "--net.width", "10", "--device", "cpu"]) == 0
    path = Path("runs/deeper_forward-digits/seed-0")
    learner, spec = load_model(path)
    rule = learner.rules["best_range"]
    assert isinstance(rule, BestRange)
    rule.choose(0, 1)
    (path / "result.json").unlink()  # it is the result of the model that was there
    save_model(path, learner, spec)
    capsys.readouterr()
    return str(path)


def test_export_says_what_it_saved_and_the_model_can_be_used(run: str, capsys: pytest.CaptureFixture[str]):
    assert main(["export", run, "--out", "small"]) == 0
    out = capsys.readouterr().out
    assert "blocks        4 -> 2" in out
    assert "parameters    26,850 -> 5,250" in out  # 5x5 and 3x3 kernels: 250 + 5,000, then 7,200 + 14,400
    assert "best_range" in out and "small" in out

    Image.fromarray(np.full((8, 8), 90, dtype=np.uint8)).save("one.png")
    rows = []
    for folder in (run, "small"):
        assert main(["predict", folder, "one.png", "--json"]) == 0
        rows.append(json.loads(capsys.readouterr().out))
    assert np.shape(rows[1]["block_scores"]) == (2, 10)
    assert rows[0]["block_scores"][:2] == rows[1]["block_scores"]
    assert (rows[0]["class"], rows[0]["confidence"]) == (rows[1]["class"], rows[1]["confidence"])

    lines = []
    for folder in (run, "small"):
        assert main(["evaluate", folder]) == 0
        table = capsys.readouterr().out
        lines.append(next(line for line in table.splitlines() if "best_range" in line).split())
    assert lines[0] == lines[1]
    assert "all_blocks" not in table and "scored block 1" in table and "scored block 2" not in table


def test_a_mistake_is_one_line_and_nothing_is_written(run: str, capsys: pytest.CaptureFixture[str]):
    before = read_json(Path(run) / "model.json")
    mistakes = {
        "nowhere does not exist; name the folder of a run or of a saved model": ["nowhere", "--out", "small"],
        "unknown inference rule 'best'; this learner has best_range": [run, "--out", "small", "--rule", "best"],
        "not an empty folder": [run, "--out", run],
        "--out": [run],
    }
    for says, words in mistakes.items():
        assert main(["export", *words]) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1 and says in lines[0]
    assert not Path("small").exists()
    assert read_json(Path(run) / "model.json") == before


STEP_FLAGS = (
    ["--optimizer", "sgd"],
    ["--momentum", "0"],
    ["--weight-decay", "0.1"],
    ["--batch-size", "1"],
    ["--without-dropout"],
)


@pytest.mark.parametrize("words", STEP_FLAGS, ids=lambda words: words[0])
@pytest.mark.parametrize("format", ["onward", "torch", "onnx", "c", "js", "module"])
def test_a_setting_of_a_step_without_a_step_is_refused(
    format: str, words: list[str], capsys: pytest.CaptureFixture[str]
):
    assert main(["export", "run", "--out", "small", "--format", format, *words]) == 2
    remedy = f"--format {format} has none" if format in ("onward", "module") else "add --learning"
    assert f"{words[0]}: a setting of the training step; {remedy}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["--learning"], ["--format", "page", "--optimizer", "adamw"]], ids=["default", "page"]
)
def test_momentum_is_refused_for_adamw(words: list[str], capsys: pytest.CaptureFixture[str]):
    format = [] if "--format" in words else ["--format", "c"]
    assert main(["export", "run", "--out", "small", "--momentum", "0.5", *format, *words]) == 2
    assert "--momentum 0.5 is a setting of sgd: take --optimizer sgd" in capsys.readouterr().err


def test_every_setting_of_a_step_is_a_flag_and_reaches_the_step():
    given = ["--format", "c", "--learning", *(word for words in STEP_FLAGS for word in words)]
    order = parse(ExportArguments, "export", ["run", "--out", "small", *given])
    assert _learning(order) == Learning("sgd", 0.0, 0.1, 1, without_dropout=True)
    assert {words[0].removeprefix("--").replace("-", "_") for words in STEP_FLAGS} == {f.name for f in fields(Learning)}


def test_a_page_learns_as_it_does_unless_told_otherwise():
    page = ["run", "--out", "small", "--format", "page"]
    for words, expected in (
        ([], LESSONS),
        (["--learning"], LESSONS),
        (["--batch-size", "4", "--momentum", "0.5"], replace(LESSONS, batch_size=4, momentum=0.5)),
    ):
        assert _learning(parse(ExportArguments, "export", [*page, *words])) == expected


@pytest.mark.usefixtures("types_unchecked")
@pytest.mark.parametrize("command", [["export", "own.safetensors", "--out", "small"], ["evaluate", "own.safetensors"]])
def test_a_model_of_ones_own_is_refused_with_the_way(command: list[str], capsys: pytest.CaptureFixture[str]):
    layers = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3))
    local = onward.local(layers, (torch.rand(8, 4), torch.arange(8) % 3), onward.algorithms.MonoForward(), cut=["1"])
    local.save("own.safetensors")
    assert main(command) == 2
    assert "own.safetensors holds the weights of a model of your own, whose code is not" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"got LocalModel: export a module of your own, .*by torch.export"):
        export(local, "small", format="c")  # pyright: ignore[reportArgumentType]
    assert not Path("small").exists()


def test_an_exported_model_is_no_run_to_resume(run: str, capsys: pytest.CaptureFixture[str]):
    assert main(["export", run, "--out", "small"]) == 0
    assert main(["train", "--resume", "small"]) == 2
    assert "small is an exported model, which has no result" in capsys.readouterr().err
    assert not (Path("small") / "metrics.jsonl").exists()


def test_help_fits_a_screen(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main(["export", "--help"])
    assert stop.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) <= 50
