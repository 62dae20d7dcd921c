"""`onward measure --curve`: a table with both curves, what is said about them, a file, a figure, and refusals."""

from pathlib import Path

import pytest
import torch

from onward.cli import main
from onward.cli.memory_curve import show_curve
from onward.costs.memory_curve import CurvePoint, MemoryCurve
from onward.runs.environment import environment
from onward.storage.files import read_json


def test_both_curves_are_shown_written_and_drawn(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    words = ["measure", "deeper_forward-digits", "--net.width", "10", "--device", "cpu", "--batch-size", "4"]
    assert main([*words, "--steps", "1", "--curve", "--json", "c.json", "--figure", "new/c.svg"]) == 0
    out = capsys.readouterr().out
    for word in (
        "DeeperForward, whole batch",
        "backprop, 2 micro-batches, recomputing",
        "time at its memory",
        "4 images",
    ):
        assert word in out, word
    found = read_json(Path("c.json"))
    assert [point["micro_batches"] for point in found["backprop"]] == [1, 2, 1, 2]
    drawn = Path("new/c.svg").read_text()
    assert drawn.startswith("<svg") and "DeeperForward" in drawn and "backprop" in drawn


@pytest.mark.parametrize(
    ("own", "says"),
    [
        ([(50, 1.0)], "takes at most the memory and the time of every way of backprop"),
        (
            [(90, 1.0)],
            "Backprop is the better choice where one of these is asked for: 4 micro-batches (60.0 MB, 2.0000",
        ),
    ],
)
def test_it_is_said_where_backprop_is_the_better_choice(
    own: list[tuple[int, float]], says: str, capsys: pytest.CaptureFixture[str]
):
    points = tuple(CurvePoint(1, False, peak * 10**6, seconds) for peak, seconds in own)
    control = (CurvePoint(1, False, 100 * 10**6, 1.0), CurvePoint(4, False, 60 * 10**6, 2.0))
    machine = environment(torch.device("cpu"))
    show_curve(MemoryCurve("toy", "DeeperForward", 16, "fp32", "digits", machine, points, control))
    assert says in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--figure", "c.svg"], "--figure draws the curves of --curve: add it"),
        (["--curve", "--figure", "c.png"], "--figure is drawn as SVG, got c.png: call it c.svg"),
    ],
)
def test_a_figure_needs_curves_and_is_svg(words: list[str], says: str, capsys: pytest.CaptureFixture[str]):
    assert main(["measure", "deeper_forward-digits", *words]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--trainer.capture", "auto"], "capture has no effect, plain steps are measured"),
        (["--curve", "--trainer.compile"], "compile has no effect, plain steps are measured"),
        (["--curve", "--trainer.micro-batches", "2", "--trainer.recompute"], "micro_batches, recompute of the recipe:"),
        (["--trainer.micro-batches", "2"], ""),
    ],
)
def test_a_setting_that_changes_nothing_is_named(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def ended(*_: object, **__: object) -> None:
        raise ValueError("measured")

    monkeypatch.setattr("onward.cli.measure.measure", ended)
    monkeypatch.setattr("onward.cli.measure.memory_curve", ended)
    assert main(["measure", "deeper_forward-digits", "--device", "cpu", *words]) == 2
    told = capsys.readouterr().err
    assert f"onward: warning: {says}" in told if says else "warning" not in told
