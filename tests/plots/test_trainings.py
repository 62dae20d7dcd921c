"""Charts of trainings: what a learner, a run and a folder have in their history, and nothing of what they have not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import onward
from onward import plots
from onward.core import EpochDone
from onward.data import Splits
from onward.recipes import Recipe
from onward.runs import RunOptions, train
from onward.runs.finished import open_run
from onward.runs.folder import RunFolder


def _points(chart) -> list[dict]:
    return chart.to_dict(validate=True)["datasets"]["points"]


def test_a_run_is_drawn_from_its_folder_or_as_what_training_returned(toy_recipe: Recipe, place: RunOptions):
    folder, _ = train(replace(toy_recipe, epochs=2), place)
    run = open_run(folder.path)
    points = _points(plots.training(run))
    assert points == _points(plots.training(folder.path)) == _points(plots.training(str(folder.path)))
    assert [row["x"] for row in points] == [1, 2] and {row["m"] for row in points} == {"toy, seed-0"}
    assert [row["y"] for row in points] == [100 * done.validation_accuracy for done in run.history]
    of_blocks = _points(plots.blocks(run))
    assert len(of_blocks) == 2 * len(run.history[0].block_accuracy)
    assert of_blocks[-1]["y"] == 100 * run.history[-1].block_accuracy[-1]
    both = _points(plots.training(run, folder.path, labels=("a", "b")))
    assert {row["m"] for row in both} == {"a", "b"} and len(both) == 4
    with pytest.raises(ValueError, match="2 trainings need as many labels, each its own; got toy, seed-0, toy, seed-0"):
        plots.training(run, run)


def test_a_learner_shows_its_training(toy_data: Splits):
    learner = onward.fit(onward.algorithms.DeeperForward(), onward.nets.TinyCNN(width=30), toy_data, epochs=2)
    assert [row["m"] for row in _points(plots.training(learner))] == ["training 1"] * 2


def test_of_many_blocks_eight_are_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    done = EpochDone(0, {}, 0.5, tuple(k / 20 for k in range(20)), 1.0, 1.0, 1, "a meter")
    monkeypatch.setattr(RunFolder, "open", lambda path: RunFolder(path))
    monkeypatch.setattr(RunFolder, "history", lambda _: (done,))
    names = [row["m"] for row in _points(plots.blocks(tmp_path))]
    assert len(names) == 8 and (names[0], names[-1]) == ("block 1", "block 20")
    monkeypatch.setattr(RunFolder, "history", lambda _: (replace(done, block_accuracy=()),))
    with pytest.raises(ValueError, match="the accuracy of blocks was not recorded"):
        plots.blocks(tmp_path)
    monkeypatch.setattr(RunFolder, "history", lambda _: ())
    with pytest.raises(ValueError, match="without a history"):
        plots.training(tmp_path)


@pytest.mark.usefixtures("types_unchecked")
def test_what_is_no_training_is_told():
    wrong: list[tuple[Any, str]] = [
        (["a", "b"], r"got a list; give several one by one, training\(\*runs\)"),
        ({"epoch": 1}, "is what `fit`, `load` or `train` returned, or the folder of a run, got a dict"),
        (3, "got a int"),
    ]
    for given, message in wrong:
        for chart in (plots.training, plots.blocks):
            with pytest.raises(ValueError, match=message):
                chart(given)
    with pytest.raises(ValueError, match="no training given"):
        plots.training()
