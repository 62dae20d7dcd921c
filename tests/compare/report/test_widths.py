"""What a terminal shows at 60, 80 and 200 columns: every number of every table, and every line within the width."""

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from report_toys import comparison, cost, read

import onward.costs.step_benchmark as measuring
from onward.cli import compare, main, measure
from onward.cli.tables import console, show_table
from onward.costs.step import MeasuredSteps, ProcessMemory
from onward.nets import TinyCNN
from onward.recipes import RECIPES
from onward.storage.files import read_json

WIDTHS = (60, 80, 200)
_SMALL = ["--net.width", "10", "--device", "cpu"]
_LABEL = "deeper_forward (epochs 1, width 50, learning rate 0.001, batch size 64)"

pytestmark = pytest.mark.parametrize("width", WIDTHS)


@pytest.fixture(autouse=True)
def in_a_terminal_of_this_width(width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ONWARD_DATA", raising=False)
    monkeypatch.setenv("COLUMNS", str(width))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    assert main(["train", "--epochs", "1", *_SMALL, "--no-record", "--runs-dir", str(folder)]) == 0
    return folder / "deeper_forward-digits" / "seed-0"


@pytest.fixture(scope="module")
def measured() -> MeasuredSteps:
    recipe = replace(RECIPES[0], net=TinyCNN(width=10), batch_size=16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measuring, "fresh_process", lambda *_, **__: ProcessMemory(10**6, 3 * 10**6))
        patch.setattr(measuring, "peak_rate", partial(measuring.peak_rate, seconds=0.01))
        return measuring.measure(recipe, torch.device("cpu"), steps=1)


def _check(out: str, width: int, numbers: list[str]) -> None:
    """Every number stands whole in a cell of its own, and no row of a table is wider than the terminal."""
    rows = [line for line in out.splitlines() if line[:1] in "┏┡│└┃"]
    assert rows and max(map(len, rows)) <= width
    cells = [cell.strip() for line in rows for cell in re.split("[│┃]", line)]
    for number in numbers:
        assert number in cells, number
        cells.remove(number)  # each must be there for itself
    assert "…" not in "".join(rows)


def test_wide_tables_are_parted_and_no_number_is_lost(width: int, capsys: pytest.CaptureFixture[str]):
    numbers = [[f"{row * 10 + k}.25 ± 0.{k:02}" for k in range(9)] for row in range(3)]
    names = [_LABEL, "x" * 150, "short [1]"]
    show_table("[title]", ["", *[f"head of {k}" for k in range(9)]], list(zip(names, numbers, strict=True)))
    out = capsys.readouterr().out
    _check(out, width, [number for row in numbers for number in row])
    assert "[title]" in out and "short [1]" in out
    assert out.count("┏") == {60: 5, 80: 3, 200: 1}[width]


def test_a_file_takes_wide_tables(width: int, monkeypatch: pytest.MonkeyPatch):
    assert console().width == width
    monkeypatch.delenv("COLUMNS")
    assert console().width == 160


def test_compare_and_report(width: int, capsys: pytest.CaptureFixture[str]):
    found = comparison()
    found["methods"][1]["label"] = _LABEL
    nets = ["TinyCNN(channels=(32, 64, 128), dropout=0.1)", "MonoCNN(width=50)"]
    found["controls"] = [
        cost(name, 0.8) | {"network": net, "batch_size": 64, "images": "1x8x8 of 10 classes"}
        for net in nets
        for name in ("backprop, recompute", "backprop, 4 micro-batches")
    ]
    compare._show(read(found))
    out = capsys.readouterr().out
    first = ["95.00", "1,000", "3.00", "21.0", "0.0200", "2.00", "6.00"]
    _check(out, width, [*first, "2,000", "3,000", *["16.8"] * 4, *["2.40"] * 4, "95.00 ± 0.40", "84.00 ± 0.40"])
    for net in nets:
        assert net in out
    assert all(word in out.split() for word in ("backprop,", "micro-batches", "[1]", "[2]"))


def test_measure(measured: MeasuredSteps, width: int, capsys: pytest.CaptureFixture[str]):
    measure._show(measured)
    out, rows = capsys.readouterr().out, measured.contenders
    numbers = [f"{row.memory.peak / 1e6:.1f}" for row in rows] + ["3.0"] * 4 + ["1.0"] * 4
    numbers += [f"{row.step_seconds:.4f}" for row in rows]
    numbers += [f"{operations / 1e9:.3f}" for operations in rows[0].flops.by_block]
    _check(out, width, numbers)


def test_evaluate_predict_and_simulate(run: Path, width: int, capsys: pytest.CaptureFixture[str]):
    result = read_json(run / "result.json")
    assert main(["evaluate", str(run), "--device", "cpu"]) == 0
    accuracies = [f"{100 * value:.2f}" for value in result["test_accuracy_by_rule"].values()]
    _check(capsys.readouterr().out, width, accuracies)
    Image.fromarray(np.full((8, 8), 99, dtype=np.uint8)).save("one[a].png")
    assert main(["predict", str(run), "one[a].png", "--top", "10"]) == 0
    out = capsys.readouterr().out
    _check(out, width, [])
    assert len(re.findall(r"-?\d+\.\d{3} +[│\n]", out)) == 4 * 10 and out.lstrip().startswith("one[a].png: ")
    assert main(["simulate", "deeper_forward-digits", *_SMALL, "--batch-size", "16"]) == 0
    out = capsys.readouterr().out
    _check(out, width, ["0", "1"])
    assert len(re.findall(r"\d+\.\d\d? +[│\n]", out)) == 3 * 2 + 1 and "limited by" in out
