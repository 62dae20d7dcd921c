"""What a person sees: compact accuracies, plain lines without a terminal, a bar with one."""

import io

import pytest
from rich.console import Console

import onward.runs.progress as progress
from onward.runs import EpochDone, StepDone
from onward.runs.progress import Display, compact

_EPOCH = EpochDone(
    epoch=0,
    losses={0: 1.0, 1: 0.5},
    validation_accuracy=0.9,
    block_accuracy=(0.8, 0.9),
    images_per_second=1234.0,
    train_seconds=2.0,
    peak_memory_bytes=1,
    memory_meter="a meter",
)


def _display(monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> tuple[Display, io.StringIO]:
    written = io.StringIO()
    console = Console(file=written, force_terminal=terminal, width=120, legacy_windows=False)
    monkeypatch.setattr(progress, "Console", lambda stderr: console)
    return Display(total_epochs=3, done_epochs=0, steps=10), written


def test_few_blocks_are_numbers_and_many_are_bars():
    assert compact((0.5, 0.975)) == "50.0 97.5"
    line = compact(tuple(k / 20 for k in range(17)))
    assert line.startswith("0.0 ▁") and line.endswith("█ 80.0")
    assert len(line.split()[1]) == 17
    assert "▁" * 6 in compact((0.5,) * 6)


def test_without_a_terminal_an_epoch_is_one_plain_line(monkeypatch: pytest.MonkeyPatch):
    display, written = _display(monkeypatch, terminal=False)
    with display:
        display.step(StepDone(epoch=0, step=1, steps=10, images=4))
        display.epoch(_EPOCH)
    assert written.getvalue() == ("epoch 1/3  loss 0.750  val 90.00%  blocks 80.0 90.0  1,234 img/s  about 4 s left\n")


def test_on_a_terminal_a_bar_shows_epoch_loss_blocks_and_rate(monkeypatch: pytest.MonkeyPatch):
    display, written = _display(monkeypatch, terminal=True)
    with display:
        display.epoch(_EPOCH)
        display.since -= 10
        display.step(StepDone(epoch=1, step=5, steps=10, images=1000))
    text = written.getvalue()
    for part in ("epoch 2/3", "loss 0.750", "val 90.00%", "80.0 90.0", "img/s"):
        assert part in text
