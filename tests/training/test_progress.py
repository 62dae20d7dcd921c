"""What a person sees: compact accuracies, plain lines without a terminal; with one, a bar and lines that stay."""

import io
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console

import onward.training.progress as progress
from onward.data import Splits
from onward.recipes import Recipe
from onward.runs import RunOptions, train
from onward.training import EpochDone, Evaluator, StepDone
from onward.training.progress import Display, compact, stages

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
_DEEP = replace(_EPOCH, epoch=98, block_accuracy=tuple(0.5 + k / 50 for k in range(17)))
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Callable[..., io.StringIO]:
    def make(width: int = 120, *, terminal: bool = True) -> io.StringIO:
        written = io.StringIO()
        console = Console(file=written, force_terminal=terminal, width=width, legacy_windows=False, highlight=False)
        monkeypatch.setattr(progress, "Console", lambda **_: console)
        return written

    return make


def _seen(written: io.StringIO) -> list[str]:
    """Return everything that stood on a line at some time, without colors."""
    return [line for line in re.split(r"[\n\r]+", _CONTROL.sub("", written.getvalue())) if line.strip()]


def test_few_blocks_are_numbers_and_many_are_bars():
    assert compact((0.5, 0.975)) == "50.0 97.5"
    line = compact(tuple(k / 20 for k in range(17)))
    assert line.startswith("0.0 ▁") and line.endswith("█ 80.0")
    assert len(line.split()[1]) == 17
    assert "▁" * 6 in compact((0.5,) * 6)


def test_bars_are_numbers_where_the_encoding_has_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.stderr", io.TextIOWrapper(io.BytesIO(), encoding="cp1252"))
    assert compact(tuple(k / 20 for k in range(8))) == "0.0 _.-=+*%@ 35.0"


def test_without_a_terminal_an_epoch_is_one_plain_line(screen: Callable[..., io.StringIO]):
    written = screen(terminal=False)
    with Display(total_epochs=3, done_epochs=0, steps=10) as display:
        display.step(StepDone(epoch=0, step=1, steps=10, images=4))
        display.epoch(_EPOCH)
        display.stage("validating", 1, 10)
    assert written.getvalue() == ("epoch 1/3  loss 0.750  val 90.00%  blocks 80.0 90.0  1,234 img/s  about 4 s left\n")


def test_the_rate_is_in_what_the_inputs_are(screen: Callable[..., io.StringIO]):
    written = screen(100)
    with Display(total_epochs=3, done_epochs=0, steps=10, noun="sequences") as display:
        display.step(StepDone(epoch=0, step=1, steps=10, images=4))
        display.epoch(_EPOCH)
    assert any(line.strip().endswith("1,234 sequences/s") for line in _seen(written))
    assert not any("img/s" in line for line in _seen(written))


def test_without_scored_blocks_none_are_told(screen: Callable[..., io.StringIO]):
    written = screen(60)
    with Display(total_epochs=3, done_epochs=0, steps=10) as display:
        display.epoch(replace(_EPOCH, block_accuracy=()))
    assert any(line.strip() == "epoch 1/3  loss 0.750  val 90.00%  1,234 img/s" for line in _seen(written))


def test_without_a_terminal_a_long_stage_says_how_far_it_is(screen: Callable[..., io.StringIO]):
    written = screen(terminal=False)
    with stages() as watch:
        watch("testing", 0, 2000)
        watch.since, watch.shown = watch.since - 30, watch.shown - 30
        watch("testing", 500, 2000)
        watch("testing", 600, 2000)
        watch("testing", 2000, 2000)
    assert written.getvalue() == "testing: 500 of 2,000, about 90 s left\n"


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("done", [replace(_DEEP, block_accuracy=(0.8, 0.85, 0.9, 0.95)), _DEEP])
def test_a_bar_shows_rate_and_time_left_and_epochs_stay(
    screen: Callable[..., io.StringIO], width: int, done: EpochDone
):
    written = screen(width)
    with Display(total_epochs=100, done_epochs=98, steps=10) as display:
        display.epoch(done)
        display.step(StepDone(epoch=99, step=1, steps=10, images=1))
        assert display.first is not None
        display.since, display.first = display.since - 10, (display.first[0], display.first[1] - 7200)
        display.step(StepDone(epoch=99, step=4, steps=10, images=123_456))
        display.bar.refresh()
    lines = _seen(written)
    assert max(map(len, lines)) <= width
    bar = [line for line in lines if "━" in line][-1]
    assert re.search(r"epoch 100/100 .*━{8,}.* 1[12],\d{3} img/s +4:00:00 *$", bar), bar
    (epoch,) = {line.strip() for line in lines if "12,34" not in line and " 1,234 img/s" in line}
    low, high = (f"{100 * value:.1f}" for value in (min(done.block_accuracy), max(done.block_accuracy)))
    assert all(text in epoch for text in ("99/100", "loss 0.750", "val 90.00%", low, high)), epoch
    if width == 200:
        assert all(text in bar for text in ("loss 0.750", "val 90.00%", low, high))


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_stage_shows_how_far_it_is_its_rate_and_time_left(screen: Callable[..., io.StringIO], width: int):
    written = screen(width)
    with stages() as watch:
        for done in (0, 12_000, 24_000, 36_000):
            watch.since, watch.shown = watch.since - 1, watch.shown - 1
            watch("fitting linear_readout", done, 48_000)
        watch.bar.refresh()
    lines = _seen(written)
    assert max(map(len, lines)) <= width
    assert re.search(r"fitting linear_readout .*━.* \d+,\d{3}/s +0:00:01 *$", lines[-1]), lines[-1]
    if width > 60:
        assert "36,000 of 48,000" in lines[-1]


def test_what_follows_the_last_epoch_is_shown(
    screen: Callable[..., io.StringIO], toy_recipe: Recipe, place: RunOptions, monkeypatch: pytest.MonkeyPatch
):
    screen()
    seen: list[tuple[str, int, int]] = []
    monkeypatch.setattr(progress.Stages, "__call__", lambda self, *told: seen.append(told))
    train(replace(toy_recipe, epochs=1), place)
    last = max(k for k, (what, *_) in enumerate(seen) if what == "testing")
    assert seen[last][1] == seen[last][2] == 359
    assert {"fitting best_range", "validating", "testing"} <= {what for what, *_ in seen}


def test_a_readout_tells_of_its_steps(toy_data: Splits, make_training: Callable):
    from onward.algorithms import ForwardForward
    from onward.nets import MLP

    training = make_training(algorithm=ForwardForward(), net=MLP(width=8, depth=2))
    seen: list[tuple[str, int, int]] = []
    evaluator = Evaluator(training.learner, training.settings, watch=lambda *told: seen.append(told))
    evaluator.fit_rules(toy_data.train, toy_data.validation)
    steps = [told for told in seen if "steps" in told[0]]
    (name,) = {what for what, *_ in steps}
    assert steps[-1][1] == steps[-1][2] == len(steps) and name.startswith("fitting ")
    assert (name.removesuffix(", steps"), len(toy_data.train), len(toy_data.train)) in seen


def test_digits_for_bars_do_not_run_into_the_numbers_of_a_narrow_screen(
    screen: Callable[..., io.StringIO], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sys.stderr", io.TextIOWrapper(io.BytesIO(), encoding="cp1252"))
    written = screen(60)
    with Display(99, 0, 1) as display:
        display.epoch(_DEEP)
    (line,) = [line for line in _seen(written) if "img/s" in line and "val" in line and "%" in line][:1]
    assert "50.0-82.0" in line, line
