"""`onward compare` and `onward report`: from recipes to a page in one command, and one clear line for every mistake."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import onward.costs.methods as costs
from onward.algorithms import Backprop
from onward.cli import main
from onward.core import TrainerSettings
from onward.measure import PeakRate
from onward.nets import MLP
from onward.recipes import RECIPES, lookup
from onward.storage.files import read_json, write_json

QUICK = replace(
    RECIPES[0], epochs=1, net=MLP(width=20, depth=2), batch_size=300, trainer=TrainerSettings(learning_rate=0.02)
)
CONTROL = replace(QUICK, name="backprop-deeper_forward-digits", algorithm=Backprop())
LONGER = replace(QUICK, name="longer-digits", epochs=2)
HERE = ["--device", "cpu"]
_R = "deeper_forward-digits"


@pytest.fixture(autouse=True)
def quick_recipes_in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ONWARD_DATA", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(lookup, "RECIPES", (QUICK, CONTROL, LONGER))
    monkeypatch.setattr(costs, "peak_rate", lambda *_: PeakRate(1e9, 1e9))


def _error(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(list(words)) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("onward: "), lines
    return lines[0]


def test_one_command_goes_from_recipes_to_a_page(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    words = [
        "compare",
        "backprop-deeper_forward-digits",
        "deeper_forward-digits",
        "longer-digits",
        "--chips",
        "2",
        "--steps",
        "1",
    ]
    words += [
        "--noise",
        "mismatch=0.5,1",
        "bits=3",
        "rram-day",
        "--recover",
        "mismatch=1",
        "--recover-images",
        "32",
        *HERE,
    ]
    assert main(words) == 0
    out = capsys.readouterr().out
    for text in (
        "clean %",
        "parameters",
        "memory MB",
        "step s",
        "J/epoch",
        "Device mismatch, %",
        "rram-day, %",
        "came back",
    ):
        assert text in out, text
    assert "longer differs from backprop-deeper_forward: epochs 2" in out
    assert "comparisons with backprop" in out
    found = read_json(Path("comparison.json"))
    assert [method["label"] for method in found["methods"]] == ["backprop-deeper_forward", "deeper_forward", "longer"]
    assert len(found["methods"][1]["noise"]) == 4
    html = Path("comparison.html").read_text()
    assert "Device mismatch" in html and "epochs 2" in html and len(html) < 3 * 10**6
    assert len(list(Path("runs").glob("*/seed-0"))) == 3

    monkeypatch.setattr("onward.runs.finished.train", lambda *_: pytest.fail("everything has been trained"))
    monkeypatch.setattr(
        "onward.compare.robustness.load_learner", lambda *_: pytest.fail("everything has been evaluated")
    )
    assert main([*words, "--no-cost", "--out", "again"]) == 0
    again = read_json(Path("again.json"))
    assert [method["noise"] for method in again["methods"]] == [method["noise"] for method in found["methods"]]
    assert "cost" not in again["methods"][0]

    runs = [str(path) for path in sorted(Path("runs").glob("*/seed-0"))]
    assert main(["report", *runs, "--no-cost", *HERE]) == 0
    drawn = read_json(Path("report.json"))
    assert {sweep["name"] for sweep in drawn["sweeps"]} == {"mismatch", "bits", "rram-day"}
    assert [method["name"] for method in drawn["methods"]] == [
        "backprop-deeper_forward-digits",
        "deeper_forward-digits",
        "longer-digits",
    ]
    drawn_figures = Path("report.html").read_text()
    for name in ("goodness", "worst", "filters"):
        section = drawn_figures.split(f'<section id="{name}">')[1].split("</section>")[0]
        assert section.count("<figure>") == 3, f"{name} of each method"


def test_variants_of_a_recipe_are_told_apart(capsys: pytest.CaptureFixture[str]):
    for number, epochs in enumerate(("1", "2")):
        words = ["train", _R, "--epochs", epochs, "--no-record", "--runs-dir", f"runs{number}", *HERE]
        assert main(words) == 0
    runs = [f"runs{number}/{_R}/seed-0" for number in range(2)]
    capsys.readouterr()
    words = ["report", *runs, "--noise", "shot=10,inf,10", "mismatch=0,0.3", "--chips", "1", "--no-cost", *HERE]
    assert main(words) == 0
    out = capsys.readouterr().out
    for table in ("test images of digits, 1 seed", "Photon shot noise, %", "Device mismatch, %"):
        rows = out.split(table)[1].split("\n\n")[0]
        assert rows.count("│ deeper_forward (epochs ") == 2, rows
    found = json.loads(Path("report.json").read_text(), parse_constant=pytest.fail)
    assert [sweep["levels"] for sweep in found["sweeps"]] == [["inf", 10.0], [0.0, 0.3]]
    for method in found["methods"]:
        assert method["noise"][0]["mean"] == method["noise"][2]["mean"] == method["clean"]["mean"]
    assert "<th>inf</th><th>10</th>" in Path("report.html").read_text()


def test_backprop_on_other_images_is_no_control(capsys: pytest.CaptureFixture[str]):
    assert main(["train", _R, "--no-record", *HERE]) == 0
    for size in ("8", "16"):
        words = [
            "train",
            "backprop-deeper_forward-digits",
            "--data.size",
            size,
            "--no-record",
            "--runs-dir",
            f"runs{size}",
            *HERE,
        ]
        assert main(words) == 0
    runs = [f"runs/{_R}/seed-0", "runs16/backprop-deeper_forward-digits/seed-0"]
    capsys.readouterr()
    words = ["--noise", "bits=3", "--steps", "1", *HERE]
    assert main(["report", *runs, *words]) == 0
    out = capsys.readouterr().out
    assert "comparisons with backprop" not in out and "robust" not in out
    assert "images 1x16x16 of 10 classes" in out and "images 1x8x8 of 10 classes" in out
    assert main(["report", *runs, "runs8/backprop-deeper_forward-digits/seed-0", *words]) == 0
    assert "In 1 comparisons with backprop" in capsys.readouterr().out


def test_the_same_for_all_and_what_was_measured(capsys: pytest.CaptureFixture[str]):
    words = [
        "compare",
        "deeper_forward-digits",
        "longer-digits",
        "--same",
        "--noise",
        "none",
        "--seeds",
        "2",
        "--no-cost",
    ]
    place = {"versions": {}, "platform": "l", "device": "p", "threads": 1, "commit": None}
    steps = {"recipe": "x", "batch_size": 1, "precision": "fp32", "data": "d", "environment": place}
    write_json(Path("step.json"), {**steps, "peak_rate": {"matmul": 1.0, "convolution": 1.0}, "contenders": []})
    assert main([*words, "--measured", "step.json", "--out", "same.html", *HERE]) == 0
    found = read_json(Path("same.json"))
    assert [method["differs"] for method in found["methods"]] == [[], []]
    assert [method["seeds"] for method in found["methods"]] == [[0, 1], [0, 1]]
    assert "Memory and time: x" in Path("same.html").read_text()


def test_help_fits_a_screen(capsys: pytest.CaptureFixture[str]):
    for command in ("compare", "report"):
        assert main([command, "--help"]) == 0
        out = capsys.readouterr().out
        assert 4 < len(out.splitlines()) < 50
        assert all(len(line) <= 120 for line in out.splitlines())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "no recipe named"),
        (["--chips", "2"], "no recipe named"),
        (["deper_forward-digits"], "did you mean deeper_forward-digits"),
        ([_R, _R], "is named twice"),
        ([_R, "--noise", "mismatch=-1"], "sigma of Mismatch must be a finite number >= 0, got -1.0"),
        ([_R, "--noise", "bits=0"], "bits of QuantizedWeights must be a whole number in [2, 16] or None, got 0"),
        ([_R, "--noise", "bits=33"], "got 33"),
        ([_R, "--noise", "pcm-dai"], "did you mean pcm-day"),
        ([_R, "--recover", "pcm-dai"], "did you mean pcm-day"),
        ([_R, "--chips", "0"], "chips of ComparisonSettings must be"),
        ([_R, "--seeds", "0"], "--seeds must be at least 1, got 0"),
        ([_R, "--steps", "-1"], "steps of ComparisonSettings must be"),
        ([_R, "--test-images", "0"], "test_images of ComparisonSettings must be"),
        ([_R, "--target", "90"], "target of ComparisonSettings must be a number in (0, 1]"),
        ([_R, "--recover-images", "3"], "is shorter than a batch of 16"),
        ([_R, "--chip", "2"], "did you mean --chips"),
        ([_R, "--out", "nowhere/x"], "which does not exist"),
        ([_R, "--measured", "nothing.json"], "nothing.json does not exist"),
        ([_R, "--device", "nowhere"], "nowhere"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], says: str, capsys: pytest.CaptureFixture[str]):
    assert says in _error(capsys, "compare", *words)
    assert not Path("runs").exists()


def test_other_images_are_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    other = replace(QUICK, name="other", data=replace(QUICK.data, size=16))
    monkeypatch.setattr(lookup, "RECIPES", (QUICK, other))
    assert "other has other images than deeper_forward-digits: size 16, not None" in _error(
        capsys, "compare", _R, "other"
    )


def test_a_run_that_is_missing_or_damaged_is_one_line(capsys: pytest.CaptureFixture[str]):
    assert "no run named" in _error(capsys, "report")
    assert "runs/none does not exist" in _error(capsys, "report", "runs/none")
    Path("empty").mkdir()
    assert "empty is not a run folder: it has no config.json" in _error(capsys, "report", "empty")
    assert main(["train", _R, "--no-record", *HERE]) == 0
    run = Path("runs") / _R / "seed-0"
    assert "has the recipe and the seed of another run" in _error(capsys, "report", str(run), str(run))

    def damaged(name: str, text: str) -> str:
        path = run / name
        before = path.read_bytes()
        path.write_text(text)
        line = _error(capsys, "report", str(run), "--no-cost", *HERE)
        path.write_bytes(before)
        assert str(path) in line
        return line

    assert "is not readable JSON" in damaged("result.json", "{")
    assert "does not match its checksum" in damaged("config.json", json.dumps({"recipe": {}, "sha256": "0"}))
    assert "line 1 of runs/deeper_forward-digits/seed-0/metrics.jsonl is not readable JSON" in damaged(
        "metrics.jsonl", "x\n"
    )
    assert "not a readable safetensors file" in damaged("model.safetensors", "x")
    (run / "evaluations.jsonl").write_text("")
    assert "delete that file to evaluate again" in damaged("evaluations.jsonl", "x\n")
    (run / "model.safetensors").unlink()
    assert "model.safetensors does not exist" in _error(capsys, "report", str(run), "--no-cost", *HERE)
    (run / "result.json").unlink()
    assert "result.json is gone: restore that file" in _error(capsys, "report", str(run))
    (run / "model.json").unlink()
    assert "has not finished; resume it with: onward train --resume" in _error(capsys, "report", str(run))


def test_finished_runs_are_compared_by_their_folders(capsys: pytest.CaptureFixture[str]):
    assert main(["train", _R, *HERE]) == 0
    run = f"runs/{_R}/seed-0"
    assert main(["compare", run, "--noise", "mismatch=0.5", "--chips", "2", "--no-cost", *HERE]) == 0
    assert "Device mismatch" in capsys.readouterr().out
    assert read_json(Path("comparison.json"))["methods"][0]["runs"] == [run]
    assert len(list(Path("runs").glob("*/*"))) == 1
    assert f"{run} is a run and {_R} is not" in _error(capsys, "compare", run, _R)
    assert "--seeds and --same are about recipes" in _error(capsys, "compare", run, "--seeds", "2")


def test_a_network_that_a_method_does_not_fit_is_told_before_anything_is_trained(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    narrow = replace(CONTROL, name="narrow-digits", net=MLP(width=16, depth=2))
    monkeypatch.setattr(lookup, "RECIPES", (narrow, QUICK))
    said = _error(capsys, "compare", narrow.name, QUICK.name, "--same", "--no-cost", *HERE)
    assert said.startswith(f"onward: {QUICK.name} with the network MLP(width=16, depth=2): 16 ")
    assert "nothing was trained: give `onward train` what a recipe needs" in said
    assert not list(Path("runs").rglob("*"))
