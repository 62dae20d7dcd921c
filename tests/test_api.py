"""The functions of `import onward`: recipes carried out, models and images read, evaluated and compared."""

import copy
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import onward
from onward.algorithms import MonoForward
from onward.core import Learner
from onward.data import Images, Splits
from onward.nets import MLP
from onward.runs.finished import Run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A short run of a recipe on digits."""
    recipe = replace(onward.recipe("deeper_forward-digits"), epochs=2, net=onward.nets.TinyCNN(width=10))
    return onward.train(recipe, runs_dir=tmp_path_factory.mktemp("api") / "runs", device="cpu", verbose=False)


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Learner:
    data = onward.load_data("digits")
    return onward.fit(MonoForward(features=16), MLP(width=16), data, epochs=1, device="cpu")


def test_a_run_knows_what_it_came_to(run: Run):
    assert run.path.name == "seed-0" and run.test_accuracy == run.result.test_accuracy
    assert [done.epoch for done in run.history] == [0, 1] and run.history[1].losses.keys() == {0, 1, 2, 3}
    assert run.load().history == run.history


def test_train_shows_nothing_unless_asked(run: Run, tmp_path: Path, capsys):
    recipe = replace(run.recipe, epochs=1)
    again = onward.train(recipe, runs_dir=tmp_path, device="cpu", verbose=False)
    assert capsys.readouterr() == ("", "")
    assert onward.resume(again.path).result == again.result  # it has finished
    onward.train(replace(recipe, seed=1), runs_dir=tmp_path, device="cpu")
    assert "epoch 1/1" in capsys.readouterr().err


@pytest.mark.parametrize("file", ["", "model.safetensors", "model.json", "config.json", "result.json"])
def test_a_model_is_read_from_the_folder_of_a_run_or_a_file_in_it(run: Run, file: str):
    learner = onward.load(run.path / file)
    assert learner.class_names == tuple("0123456789") and not learner.training
    images = onward.load_data("digits").test
    assert learner.score(images.pixels, images.labels) == pytest.approx(run.test_accuracy, abs=0.003)


def test_a_model_that_was_saved_is_read_without_history(learner: Learner, tmp_path: Path):
    learner.save(tmp_path / "model")
    read = onward.load(str(tmp_path / "model"))
    assert read.history == () and read.class_names == learner.class_names
    assert all(torch.equal(value, read.state_dict()[name]) for name, value in learner.state_dict().items())


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere", "nowhere does not exist: name the folder of a run or of a saved model"),
        ("empty", "empty holds no model: it has no model.json"),
        ("notes.txt", "notes.txt is not a model file"),
        (3, "path is a int: give the path of a folder"),
        (None, "path is a NoneType"),
    ],
)
def test_what_holds_no_model_is_refused(path, message: str, tmp_path: Path, monkeypatch, types_unchecked):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("notes.txt").write_text("x")
    with pytest.raises(ValueError, match=message):
        onward.load(path)


def test_the_weights_of_any_model_are_read_into_it(tmp_path: Path):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    local = onward.local(model, torch.zeros(2, 4), MonoForward(features=8), num_classes=3)
    local.save(tmp_path / "mine.safetensors")
    with pytest.raises(ValueError, match=r"holds the weights of a model of your own.*load\(path, model=...\)"):
        onward.load(tmp_path / "mine.safetensors")
    read = onward.load(tmp_path / "mine.safetensors", model=copy.deepcopy(model))
    assert isinstance(read, onward.LocalModel)
    assert torch.equal(read.predict(torch.ones(2, 4)), local.predict(torch.ones(2, 4)))
    fed = onward.load(tmp_path / "mine.safetensors", model=copy.deepcopy(model), feed=lambda model, x: model(-x))
    assert torch.equal(fed.predict_scores(torch.ones(2, 4)), local.predict_scores(-torch.ones(2, 4)))


def test_load_still_reads_images_and_says_what_does_so_now(types_unchecked):
    for name in ("digits", onward.DataSettings(name="digits")):
        with pytest.warns(DeprecationWarning, match="images are read by onward.load_data"):
            assert isinstance(onward.load(name), Splits)  # pyright: ignore[reportArgumentType]


def test_a_run_is_evaluated_on_its_own_images(run: Run):
    found = onward.evaluate(run)
    assert found.by_rule == run.result.test_accuracy_by_rule
    assert onward.evaluate(str(run.path), split="validation").of_default_rule == run.result.validation_accuracy
    assert onward.evaluate(run, "digits").by_rule == found.by_rule


def test_a_learner_is_evaluated_on_images_that_are_given(learner: Learner, tmp_path: Path):
    data = onward.load_data("digits")
    found = onward.evaluate(learner, data)
    assert found.of_default_rule == learner.score(data.test.pixels, data.test.labels) and len(found.by_block) == 3
    assert onward.evaluate(learner, data.test) == found
    assert onward.evaluate(learner, data, split="validation") != found
    learner.save(tmp_path)
    assert onward.evaluate(tmp_path, data).of_default_rule == pytest.approx(found.of_default_rule, abs=0.01)
    with pytest.raises(ValueError, match="is a saved model, which holds no images"):
        onward.evaluate(tmp_path)


ANY: Any = onward  # what a type checker would refuse is asked for below
SMALL = Images(torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.tensor([0, 1]))
STRANGE = Images(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 10]))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "data is missing: give what from_arrays or load_data made"),
        (SMALL, r"the images are \(1, 4, 4\) .* but this network takes \(1, 8, 8\)"),
        (STRANGE, "the images have class 10, but this network has 10 classes"),
        (torch.zeros(2, 8, 8), r"data is a Tensor: .* learner.score\(images, labels\)"),
        ("no_such_set", "unknown data set 'no_such_set'"),
    ],
)
def test_a_learner_is_not_evaluated_on_what_are_not_its_images(learner, data, message: str, types_unchecked):
    with pytest.raises(ValueError, match=message):
        onward.evaluate(learner, data)


def test_recipes_are_found_by_name_and_by_pattern():
    assert onward.recipe("deeper_forward-digits").name == "deeper_forward-digits"
    names = onward.list_recipes("asge*")
    assert names == sorted(names) and len(names) > 3 and all(name.startswith("asge") for name in names)
    assert set(names) < set(onward.list_recipes()) and onward.list_recipes("nothing*") == []
    with pytest.raises(ValueError, match=r"unknown recipe 'deeper_forward-digit'.*did you mean deeper_forward-digits"):
        onward.recipe("deeper_forward-digit")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ANY.train(3), r"recipe is a int: give a name that list_recipes\(\) has"),
        (lambda: ANY.train("nothing_at_all"), "unknown recipe"),
        (lambda: ANY.train("deeper_forward-digits", device="abacus"), "device 'abacus' cannot be used here"),
        (lambda: ANY.resume("nowhere"), "nowhere does not exist; name the folder of a run"),
        (lambda: ANY.resume(3), "run is a int: give the path"),
        (lambda: ANY.recipe(3), "name is a int"),
        (lambda: ANY.list_recipes(3), "pattern is a int"),
        (lambda: ANY.load_data(3), "name_or_settings is a int"),
        (lambda: ANY.load_data("no_such_set"), "unknown data set"),
        (lambda: ANY.compare(), "no run named"),
        (lambda: ANY.compare("nowhere"), "nowhere does not exist"),
        (lambda: ANY.compare(3), "a run is a int"),
        (lambda: ANY.results("nowhere"), "nowhere.runs does not exist: name a folder of records"),
        (lambda: ANY.evaluate("nowhere"), "nowhere does not exist"),
        (lambda: ANY.evaluate("nowhere", split="tests"), "split must be"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_line(call, message: str, types_unchecked):
    with pytest.raises(ValueError, match=message) as refused:
        call()
    assert "\n" not in str(refused.value)


def test_runs_stand_side_by_side_seeds_in_one_row(run: Run, tmp_path: Path):
    other = onward.train(replace(run.recipe, seed=1), runs_dir=tmp_path, device="cpu", verbose=False)
    longer = replace(run.recipe, epochs=1, name="shorter-digits")
    third = onward.train(longer, runs_dir=tmp_path, device="cpu", verbose=False)
    found = onward.compare(run, str(other.path), third.path)
    assert list(found.recipe) == ["deeper_forward-digits", "shorter-digits"] and list(found.seeds) == [2, 1]
    assert found.test_accuracy[0] == pytest.approx((run.test_accuracy + other.test_accuracy) / 2)
    assert found.deviation[0] > 0 and math.isnan(found.deviation[1])
    assert list(found.differs) == ["", "epochs 1"]
    with pytest.raises(ValueError, match="has the recipe and the seed of another run"):
        onward.compare(run, run.path)


def test_records_are_rows(tmp_path: Path):
    kept = Path(__file__).parent.parent / "results" / "runs" / "backprop-digits"
    shutil.copytree(kept, tmp_path / "runs" / "backprop-digits")
    found = onward.results(tmp_path)
    assert set(found.recipe) == {"backprop-deeper_forward-digits"} and found.test_accuracy.between(0, 1).all()
    assert list(found.columns[:6]) == ["recipe", "seed", "method", "data", "locality", "test_accuracy"]
    (tmp_path / "none" / "runs").mkdir(parents=True)
    assert len(onward.results(tmp_path / "none")) == 0 and "recipe" in onward.results(tmp_path / "none")
