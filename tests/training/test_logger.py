"""Loggers: they get every epoch and the test accuracy, and are ended however a training ends; TensorBoard reads it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import onward
from onward.algorithms import MonoForward
from onward.nets import MLP
from onward.recipes import Recipe
from onward.runs import RunOptions, resume, train
from onward.training import Logger, TensorBoard
from onward.training import logger as module
from onward.training.logger import values_of


class Notes:
    """Keeps what it is given, and stops the training after an epoch if asked to."""

    def __init__(self, *, fail_after: int = 0):
        self.told: list[tuple[str, Any]] = []
        self.fail_after = fail_after

    def begin(self, settings, first_epoch: int) -> None:
        self.told.append(("begin", (settings, first_epoch)))

    def epoch(self, number: int, values) -> None:
        self.told.append(("epoch", (number, dict(values))))
        if number == self.fail_after:
            raise RuntimeError("the service is gone")

    def end(self, values) -> None:
        self.told.append(("end", dict(values)))


def _fit(toy_data, **more):
    return onward.fit(MonoForward(), MLP(width=6, depth=2), toy_data, epochs=2, **more)


@pytest.mark.parametrize("verbose", [False, True])
def test_fit_tells_a_logger_every_epoch(toy_data, verbose: bool):
    notes = Notes()
    learner = _fit(toy_data, logger=notes, verbose=verbose)
    assert [what for what, _ in notes.told] == ["begin", "epoch", "epoch", "end"]
    settings, first = notes.told[0][1]
    assert settings["epochs"] == 2 and settings["algorithm"]["type"] == "MonoForward" and first == 0
    assert notes.told[1:3] == [("epoch", (done.epoch + 1, values_of(done))) for done in learner.history]
    assert notes.told[3] == ("end", {})


def test_a_run_tells_a_logger_what_it_comes_to(toy_recipe: Recipe, place: RunOptions):
    notes = Notes()
    folder, result = train(replace(toy_recipe, epochs=1), place, logger=notes)
    assert [what for what, _ in notes.told] == ["begin", "epoch", "end"]
    assert notes.told[0][1][0]["name"] == "toy"
    assert notes.told[-1][1]["test/accuracy"] == result.test_accuracy
    again = Notes()
    assert resume(folder.path, place, logger=again)[1] == result and again.told == [], "a finished run trains nothing"


def test_a_logger_is_ended_when_the_training_fails(toy_data):
    notes, other = Notes(fail_after=1), Notes()
    with pytest.raises(RuntimeError, match="the service is gone"):
        _fit(toy_data, logger=notes)
    assert notes.told[-1] == ("end", {})
    with pytest.raises(RuntimeError), module.logged([other, _NeverBegins()], dict):
        pass
    assert [what for what, _ in other.told] == ["begin", "end"]


class _NeverBegins(Notes):
    def begin(self, settings, first_epoch: int) -> None:
        raise RuntimeError("no account")


def test_what_is_no_logger_is_refused_before_anything_is_trained(toy_data, types_unchecked):
    assert isinstance(Notes(), Logger)
    for wrong in (print, Notes, "tensorboard"):
        with pytest.raises(ValueError, match=r"logger is .+: give an object with begin, epoch and end"):
            _fit(toy_data, logger=wrong)


def test_tensorboard_shows_what_the_history_has(toy_recipe: Recipe, place: RunOptions):
    pytest.importorskip("tensorboard", reason="needs tensorboard")
    folder, result = train(replace(toy_recipe, epochs=2), replace(place, log="tensorboard"))
    found = _events(folder.path)
    history = folder.history()
    assert [(e.step, e.value) for e in found.Scalars("validation/accuracy")] == [
        (done.epoch + 1, pytest.approx(done.validation_accuracy)) for done in history
    ]
    last = len(history[0].block_accuracy)
    assert found.Scalars(f"validation/block_{last}")[1].value == pytest.approx(history[1].block_accuracy[-1])
    assert found.Scalars("test/accuracy")[0].value == pytest.approx(result.test_accuracy)


def test_epochs_that_are_done_again_are_shown_once(tmp_path: Path):
    pytest.importorskip("tensorboard", reason="needs tensorboard")
    for first, values in ((0, (0.1, 0.2, 0.3)), (1, (0.25, 0.35))):
        board = TensorBoard(tmp_path)
        board.begin({}, first)
        for number, value in enumerate(values, first + 1):
            board.epoch(number, {"validation/accuracy": value})
        board.end({})
    found = _events(tmp_path).Scalars("validation/accuracy")
    assert [(e.step, round(e.value, 2)) for e in found] == [(1, 0.1), (2, 0.25), (3, 0.35)]


def test_tensorboard_that_is_not_installed_is_refused_before_a_folder_is_made(
    toy_recipe: Recipe, place: RunOptions, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"TensorBoard is not installed: pip install 'onward\[log\]'"):
        train(toy_recipe, replace(place, log="tensorboard"))
    assert not place.runs_dir.exists()


def _events(folder: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return found
