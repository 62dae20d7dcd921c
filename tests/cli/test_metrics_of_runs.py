"""Runs that predict numbers or several labels: every command shows their own metric, and no accuracy."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score, mean_absolute_error, r2_score

import onward as library
from onward import plots
from onward.algorithms import MonoForward
from onward.cli import main
from onward.core import TrainerSettings
from onward.data import DataSettings, Splits, from_arrays
from onward.nets import Dense
from onward.recipes import Recipe
from onward.registry import DATA
from onward.runs.finished import Run

_DRAW = np.random.default_rng(0)
_X = _DRAW.normal(size=(120, 4)).astype("float32")


def _houses(settings: DataSettings, data_dir: Path | None) -> Splits:
    targets = np.stack([_X[:, 0] * 30 + 100, _X[:, 1]], axis=1)
    return from_arrays(_X, targets, task="values", class_names=("price", "age"), name="houses-of-a-test")


def _tags(settings: DataSettings, data_dir: Path | None) -> Splits:
    marked = (_X[:, :3] > 0.3).astype(int)
    return from_arrays(_X, marked, task="labels", class_names=("red", "big", "old"), name="tags-of-a-test")


def _irises(settings: DataSettings, data_dir: Path | None) -> Splits:
    return from_arrays(_X, (_X[:, 0] > 0.7).astype(int), class_names=("often", "rare"), name="rare-of-a-test")


_SETS = {"houses-of-a-test": _houses, "tags-of-a-test": _tags, "rare-of-a-test": _irises}
for _name, _made in _SETS.items():
    if _name not in DATA:
        library.register(_made, name=_name)


def _trained(name: str, place: Path) -> Run:
    recipe = Recipe(
        name=f"mono-{name}",
        algorithm=MonoForward(),
        net=Dense(hidden=(16, 16)),
        data=DataSettings(name=name),
        trainer=TrainerSettings(learning_rate=0.01),
        epochs=3,
        batch_size=16,
    )
    return library.train(recipe, runs_dir=place / "runs", device="cpu", verbose=False)


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Carry out a command line without an error; return all that was printed."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> str:
        assert main([str(word) for word in words]) == 0
        out, err = capsys.readouterr()
        return out + err

    return run


def test_numbers_have_r2_and_errors_everywhere(tmp_path: Path, said):
    run = _trained("houses-of-a-test", tmp_path)
    data, learner = _houses(DataSettings(), None), library.load(run.path)
    truth, found = data.test.labels.numpy(), learner.predict(data.test.pixels).numpy()
    assert run.result.task == "values" and run.test_accuracy == pytest.approx(r2_score(truth, found))
    assert (run.result.test_metrics or {})["mae"] == pytest.approx(mean_absolute_error(truth, found))
    assert run.result.test_recall_by_class is None
    printed = said("evaluate", run.path)
    assert "R2" in printed and "mean absolute error" in printed and not re.search("accuracy", printed)
    assert "R2" in said("report", run.path, "--no-cost", "--noise", "mismatch=0.1", "--chips", 2)
    html = (tmp_path / "report.html").read_text()
    assert not {'id="goodness"', 'id="worst"', 'id="filters"'} & set(re.findall(r'id="\w+"', html))
    assert "R2 under noise" in html and "mean squared error" in html and "Test R2" in html
    assert "accuracy" not in html.partition("<h1>")[2].partition("<script")[0].lower()
    told = json.loads((tmp_path / "report.json").read_text())["methods"][0]
    assert told["task"] == "values" and told["confusion"] == [] and set(told["metrics"]) == {"mse", "mae"}
    frame = library.compare(run)
    assert list(frame["test_r2"]) == [run.test_accuracy] and "test_accuracy" not in frame
    assert plots.training(run).to_dict()["layer"][0]["encoding"]["y"]["title"] == "validation R2"


def test_several_labels_have_exact_matches_and_f1(tmp_path: Path, said):
    run = _trained("tags-of-a-test", tmp_path)
    data, learner = _tags(DataSettings(), None), library.load(run.path)
    truth, found = data.test.labels.numpy(), learner.predict(data.test.pixels).numpy()
    assert run.test_accuracy == pytest.approx((truth == found).all(axis=1).mean())
    assert (run.result.test_metrics or {})["f1"] == pytest.approx(f1_score(truth, found, average="micro"))
    assert (run.result.test_metrics or {})["label_accuracy"] == pytest.approx((truth == found).mean())
    printed = said("evaluate", run.path)
    assert "exact match %" in printed and "F1" in printed and "accuracy" not in printed
    said("report", run.path, "--no-cost")
    assert "Exact match per block" in (tmp_path / "report.html").read_text()


def test_rare_classes_have_a_balanced_accuracy_and_recalls(tmp_path: Path, said):
    run, numbers = _trained("rare-of-a-test", tmp_path), _trained("houses-of-a-test", tmp_path)
    recalls = {name: share or 0.0 for name, share in (run.result.test_recall_by_class or {}).items()}
    metrics = run.result.test_metrics or {}
    assert list(recalls) == ["often", "rare"]
    assert metrics["balanced_accuracy"] == pytest.approx(sum(recalls.values()) / 2)
    assert "balanced accuracy" in said("report", run.path, "--no-cost")
    html = (tmp_path / "report.html").read_text()
    assert 'id="goodness"' in html and 'id="worst"' not in html and 'id="filters"' not in html, "it is a table"
    with pytest.raises(ValueError, match=r"inputs of shape \(4,\) cannot be drawn, only images"):
        plots.mistakes(run)
    assert "Recall" in html and f">{100 * recalls['rare']:.2f}<" in html
    assert list(library.compare(run)["balanced_accuracy"]) == [metrics["balanced_accuracy"]]
    assert main(["report", str(run.path), str(numbers.path), "--no-cost"]) != 0
    with pytest.raises(ValueError, match="have no metric in common"):
        plots.training(run, numbers)


def test_the_training_is_shown_in_its_own_metric(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    recipe = _trained("houses-of-a-test", tmp_path).recipe
    library.train(recipe, runs_dir=tmp_path / "others", device="cpu")
    shown = capsys.readouterr().err
    assert re.search(r"val R2 -?\d\.\d{4}  blocks -?\d\.\d{3}", shown) and "%" not in shown
