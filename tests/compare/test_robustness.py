"""Finished runs found again, evaluated chip by chip, and recovered on a chip; comparisons of recipes."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import onward.costs.methods as costs
from onward.algorithms import Backprop, DeeperForward
from onward.compare.comparable import check_same_images
from onward.compare.recovery import ChipTraining, online_settings, recover
from onward.compare.robustness import RunEvaluator
from onward.compare.study import (
    ComparisonSettings,
    Method,
    compare,
    conditions_in_cache,
    differences,
    labels_of,
    short_names,
    with_first_budget,
)
from onward.core import EpochDone, TrainerSettings
from onward.costs.methods import epochs_to, short
from onward.data import Augmentation, DataSettings, load
from onward.hardware import Mismatch, Offset, conditions
from onward.measure import PeakRate
from onward.nets import MLP, TinyCNN
from onward.recipes import Recipe
from onward.recipes.lookup import find_recipe
from onward.runs import RunFolder, RunOptions, fit
from onward.runs.finished import obtain, open_run
from onward.storage.locks import trained_here
from toy_trainings import toy_environment, toy_result

CPU = torch.device("cpu")


@pytest.fixture
def quick() -> Recipe:
    """A training of a second on scikit-learn's digits."""
    return Recipe(
        name="quick-digits",
        description="a toy",
        algorithm=DeeperForward(),
        net=MLP(width=40, depth=2),
        data=DataSettings(name="digits"),
        trainer=TrainerSettings(learning_rate=0.02),
        epochs=1,
        batch_size=300,
    )


@pytest.fixture
def control(quick: Recipe) -> Recipe:
    return replace(quick, name="backprop-quick-digits", algorithm=Backprop())


def _folders(place: RunOptions) -> list[Path]:
    return sorted(place.runs_dir.glob("*/seed-*"))


def test_a_finished_run_is_used_again_and_nothing_else(
    quick: Recipe, place: RunOptions, capsys: pytest.CaptureFixture[str]
):
    data = load(quick.data)
    made = obtain(quick, data, place)
    assert obtain(replace(quick, description="in other words"), data, place).folder.path == made.folder.path
    assert len(_folders(place)) == 1
    other = obtain(replace(quick, trainer=TrainerSettings(learning_rate=0.01)), data, place)
    assert other.folder.path != made.folder.path and len(_folders(place)) == 2
    elsewhere = obtain(quick, replace(data, checksum="of other images"), place)
    assert elsewhere.folder.path not in (made.folder.path, other.folder.path)
    shutil.rmtree(elsewhere.folder.path)
    (made.folder.path / "result.json").write_text("{")
    again = obtain(quick, data, place)
    assert again.folder.path not in (made.folder.path, other.folder.path)
    assert "passed over" in capsys.readouterr().err
    with pytest.raises(ValueError, match="not readable JSON"):
        open_run(made.folder.path)


def test_a_run_under_a_name_of_before_goes_on(place: RunOptions, monkeypatch: pytest.MonkeyPatch):
    row = find_recipe("backprop-forward_forward-digits")
    data = load(row.data)
    begun = RunFolder.create(
        place.runs_dir, replace(row, name="backprop-digits-mlp"), toy_environment(data.checksum)
    ).path
    monkeypatch.setattr("onward.runs.finished.resume", lambda path, _: (RunFolder(path), toy_result(row)))
    assert obtain(row, data, place).path == begun


def test_a_stopped_run_goes_on(quick: Recipe, place: RunOptions):
    data = load(quick.data)
    made = obtain(quick, data, place)
    for name in ("result.json", "model.json"):
        (made.folder.path / name).unlink()
    with pytest.raises(ValueError, match="has not finished; resume it with: onward train --resume"):
        open_run(made.folder.path)
    with trained_here(made.folder.path), pytest.raises(ValueError, match="is being trained by another process"):
        obtain(quick, data, place)
    again = obtain(quick, data, place)
    assert again.folder.path == made.folder.path and again.result.test_accuracy == made.result.test_accuracy


def test_evaluations_are_right_and_kept(quick: Recipe, place: RunOptions, monkeypatch: pytest.MonkeyPatch):
    import onward.compare.robustness as robustness

    data = load(quick.data)
    run = obtain(quick, data, place)
    said: list[str] = []
    on_test = RunEvaluator(run, data, CPU)
    clean = on_test.clean(said.append)
    assert clean.accuracy == run.result.test_accuracy
    assert clean.by_rule == run.result.test_accuracy_by_rule
    counts = torch.tensor(clean.confusion)
    assert torch.equal(counts.sum(dim=1), torch.bincount(data.test.labels, minlength=10))
    assert counts.trace() == round(clean.accuracy * len(data.test))
    mild, strong, bits = conditions(["mismatch=0.01,1.5", "bits=8"])
    noisy = {c: on_test.under(c, chips=2, say=said.append) for c in (mild, strong, bits)}
    assert [len(noisy[c]) for c in (mild, strong, bits)] == [2, 2, 1]
    assert max(noisy[strong]) < min(noisy[mild]) and noisy[strong][0] != noisy[strong][1]
    assert len(said) == 4
    monkeypatch.setattr(robustness, "load_learner", lambda *_: pytest.fail("nothing is left to evaluate"))
    again = RunEvaluator(run, data, CPU)
    assert again.clean(said.append) == clean and again.under(strong, chips=2, say=said.append) == noisy[strong]
    assert len(said) == 4
    fewer = RunEvaluator(run, data, CPU, images=50)
    assert list(fewer.cached_conditions()) == []
    method = Method(quick, (run,), data)
    asked = conditions_in_cache([method], ComparisonSettings())
    assert (asked.conditions, asked.chips) == ((bits, mild, strong), 2)
    assert conditions_in_cache([method], ComparisonSettings(test_images=50)).conditions == ()


def test_levels_without_noise_are_kept_too(quick: Recipe, place: RunOptions):
    data = load(quick.data)
    run = obtain(quick, data, place)
    asked = conditions(["mismatch=0.3,0", "shot=10,inf"])
    for condition in asked:
        RunEvaluator(run, data, CPU, images=50).under(condition, chips=1, say=lambda line: None)
    assert conditions_in_cache([Method(quick, (run,), data)], ComparisonSettings(test_images=50)).conditions == asked


def test_a_comparison_is_whole(quick: Recipe, control: Recipe, place: RunOptions, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(costs, "peak_rate", lambda *_: PeakRate(1e9, 1e9))
    question = ComparisonSettings(
        conditions=conditions(["mismatch=0.2,0.5", "bits=3"]),
        chips=2,
        test_images=100,
        recovery=conditions(["mismatch=0.5"]),
        stream=ChipTraining(images=32, batch_size=16),
        steps=1,
    )
    found = compare([control, quick], 2, question, place, say=lambda line: None)
    first, second = found.methods
    assert (first.label, second.label) == ("backprop-quick", "quick")
    assert first.backprop and not second.backprop
    assert (first.seeds, found.test_images, found.chips) == ((0, 1), 100, 2)
    for row in (first, second):
        assert [(n.sweep, n.level) for n in row.noise] == [("mismatch", 0.2), ("mismatch", 0.5), ("bits", 3.0)]
        chips = [[len(seed) for seed in n.values] for n in row.noise]
        assert chips == [[2, 2], [2, 2], [1, 1]]
        assert row.noise[0].chip_deviation is not None and row.noise[2].chip_deviation is None
        assert row.clean.seed_deviation is not None
        assert torch.tensor(row.confusion).sum() == 200
        assert [len(curve) for curve in row.curves] == [1, 1]
        assert row.recovery[0].memory_bytes > 0
        assert row.differs == ()
    costed = [(row.energy, row.cost) for row in (first, second) if row.energy is not None and row.cost is not None]
    assert len(costed) == 2 and 1 in [energy.epochs_to_target for energy, _ in costed]
    for energy, cost in costed:
        assert energy.joules_per_epoch == pytest.approx(4 * cost.energy.joules)
    assert [row.name for row in found.controls] == ["backprop, recompute", "backprop, 4 micro-batches"]
    assert len(_folders(place)) == 4


@pytest.mark.parametrize("algorithm", [DeeperForward(), Backprop()], ids=["local", "backprop"])
def test_a_chip_gives_back_what_it_took(algorithm):
    """A network loses accuracy on a chip with mismatch, and most of it comes back when it learns there."""
    data = load(DataSettings(name="digits"))
    settings = TrainerSettings(learning_rate=0.01)
    learner = fit(algorithm, MLP(width=100, depth=2), data, epochs=5, batch_size=50, trainer=settings, device="cpu")
    before = [parameter.clone() for parameter in learner.parameters()]
    chip = (Mismatch(1.5), Offset(0.3))
    found = recover(learner, settings, data, chip, chip=3, stream=ChipTraining(images=800, batch_size=10, rate=0.5))
    assert found.clean > 0.9 and found.met < found.clean - 0.2
    assert found.share is not None and found.share > 0.5
    assert found.memory_bytes > sum(p.numel() * 4 for p in learner.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, learner.parameters(), strict=True))
    again = recover(learner, settings, data, chip, chip=3, stream=ChipTraining(images=20, batch_size=10))
    assert (again.clean, again.met) == (found.clean, found.met)


def test_nothing_lost_is_nothing_to_come_back():
    data = load(DataSettings(name="digits"))
    learner = fit(DeeperForward(), MLP(width=20, depth=1), data, epochs=1, device="cpu")
    found = recover(
        learner, TrainerSettings(), data, (Mismatch(0.0),), chip=0, stream=ChipTraining(images=8, batch_size=8)
    )
    assert found.share is None and found.clean == found.met and found.memory_bytes > 0


def test_a_stream_keeps_of_a_recipe_what_it_can():
    settings = TrainerSettings(order="cascade", cache_activations=True, ema_decay=0.9, micro_batches=4, recompute=True)
    found = online_settings(settings, 0.5)
    assert found == TrainerSettings(learning_rate=5e-4, recompute=True)
    for steps in (TrainerSettings(capture="auto"), TrainerSettings(compile=True)):
        assert online_settings(steps, 1.0) == TrainerSettings()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ((10, 16, 0.1), "is shorter than a batch of 16"),
        ((10, 0, 0.1), "batch_size of ChipTraining must be"),
        ((10, 2, 0.0), "rate of ChipTraining must be a finite number > 0"),
    ],
)
def test_an_impossible_stream_is_refused(values: tuple, says: str):
    with pytest.raises(ValueError, match=says):
        ChipTraining(*values)


def test_other_images_are_refused_and_other_settings_said(quick: Recipe, control: Recipe):
    larger = replace(quick, name="larger", data=DataSettings(name="digits", size=16))
    with pytest.raises(ValueError, match="larger has other images than quick-digits: size 16, not None"):
        check_same_images([quick, larger])
    with pytest.raises(ValueError, match="quick-digits is named twice"):
        check_same_images([quick, quick])
    moved = replace(quick, name="moved", data=DataSettings(name="digits", augmentation=Augmentation(crop=1)), epochs=2)
    check_same_images([quick, moved])
    assert differences(control, quick) == []
    other = replace(moved, net=MLP(width=20), trainer=TrainerSettings(precision="bf16"))
    assert differences(other, quick) == [
        "network MLP(width=20)",
        "augmentation Augmentation(crop=1)",
        "epochs 2",
        "precision bf16",
    ]
    same = with_first_budget([quick, other])
    assert differences(same[1], quick) == [] and same[1].name == "moved"


def test_settings_and_names_are_short():
    assert short(TinyCNN()) == "TinyCNN()"
    assert short_names(["backprop-a-cifar10-fast", "a-cifar10-fast"]) == ["backprop-a", "a"]
    assert short_names(["a-plain-mnist-shared", "b-mnist-fast"]) == ["a-plain-shared", "b-fast"]
    assert short_names(["a-digits"]) == ["a-digits"] and short_names(["x", "b-x"]) == ["x", "b-x"]


def test_every_method_has_a_label_of_its_own(quick: Recipe, control: Recipe):
    assert short_names(["a-x", "a-x-x"]) == ["a-x", "a-x-x"]
    longer = replace(quick, epochs=3)
    assert labels_of([quick, control]) == ["quick", "backprop-quick"]
    assert labels_of([quick, control, longer]) == ["quick (epochs 1)", "backprop-quick", "quick (epochs 3)"]
    slower = replace(longer, trainer=replace(quick.trainer, learning_rate=0.01))
    assert labels_of([quick, longer, slower])[1:] == [
        "quick (learning rate 0.02, epochs 3)",
        "quick (learning rate 0.01, epochs 3)",
    ]
    other = replace(quick, algorithm=Backprop(), net=TinyCNN(), epochs=7, batch_size=9, data=DataSettings(name="mnist"))
    assert labels_of([quick, other]) == ["quick (1)", "quick (2)"]
    assert labels_of([quick, replace(quick, data=DataSettings(name="mnist"))])[1] == "quick (data mnist)"


def test_epochs_to_a_target():
    curve = [EpochDone(k, {0: 1.0}, value, (), 1.0, 1.0, 0, "") for k, value in enumerate((0.1, 0.5, 0.4, 0.9))]
    assert [epochs_to(curve, target) for target in (0.05, 0.5, 0.6, 0.95)] == [1, 2, 4, None]


@pytest.mark.parametrize("values", [{"chips": 0}, {"steps": -1}, {"test_images": 0}, {"target": 1.5}, {"target": 0.0}])
def test_an_impossible_question_is_refused(values: dict):
    with pytest.raises(ValueError, match=f"{next(iter(values))} of ComparisonSettings must be"):
        ComparisonSettings(**values)
