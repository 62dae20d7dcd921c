"""A run folder is one thing: files that were edited, or come from another run, are refused by name."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from onward.algorithms import MonoForward
from onward.cli import main
from onward.cli.positional import model_folder
from onward.core import TrainerSettings
from onward.data import DataSettings
from onward.nets import MLP
from onward.recipes import Recipe
from onward.runs import RunFolder, RunOptions, checkpoints, load_model, resume, save_model, train
from onward.runs.finished import open_run
from onward.runs.result import read_result
from onward.storage.files import read_json, read_tensors, write_json, write_tensors
from onward.storage.lines import Metrics
from toy_trainings import metrics_row, toy_environment


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two short runs of one recipe and a second run of the first seed."""
    recipe = Recipe(
        name="toy",
        description="a toy",
        algorithm=MonoForward(),
        net=MLP(width=8, depth=2),
        data=DataSettings(),
        trainer=TrainerSettings(learning_rate=0.01),
        epochs=2,
        batch_size=500,
    )
    place = RunOptions(runs_dir=tmp_path_factory.mktemp("runs"), device="cpu")
    return {name: train(replace(recipe, seed=seed), place)[0].path for name, seed in (("a", 0), ("b", 1), ("again", 0))}


def _use(run: Path, place: RunOptions) -> None:
    open_run(run)
    load_model(run)
    RunFolder.open(run).environment()
    resume(run, place)


@pytest.mark.parametrize("other", ["b", "again"])
@pytest.mark.parametrize(
    "names",
    [
        ["config.json"],
        ["environment.json"],
        ["metrics.jsonl"],
        ["model.safetensors"],
        ["model.json"],
        ["model.json", "model.safetensors"],
        ["result.json"],
        ["result.json", "metrics.jsonl"],
        ["result.json", "metrics.jsonl", "model.json", "model.safetensors"],
    ],
)
def test_files_of_another_run_are_refused_by_name(
    names: list[str], other: str, finished: dict[str, Path], tmp_path: Path, place: RunOptions
):
    run = tmp_path / "run"
    shutil.copytree(finished["a"], run)
    for name in names:
        shutil.copy(finished[other] / name, run / name)
    if other == "again" and names == ["model.safetensors"]:  # the same seed on the same machine: the same weights
        return _use(run, place)
    with pytest.raises(ValueError, match=r"of another run|of this run|does not belong") as caught:
        _use(run, place)
    assert any(f"{run / name}" in str(caught.value) for name in ("config.json", *names))


@pytest.mark.parametrize(
    ("name", "edit", "says"),
    [
        (
            "metrics.jsonl",
            lambda text: text.replace('"epoch": 0', '"epoch": 7'),
            "line 1 of .*metrics.jsonl was edited",
        ),
        ("metrics.jsonl", lambda text: text.splitlines(keepends=True)[0], "metrics.jsonl does not belong to .*result"),
        ("metrics.jsonl", lambda text: "", "metrics.jsonl does not belong to .*result.json: lines are missing"),
        (
            "metrics.jsonl",
            lambda text: text + text.splitlines(keepends=True)[1],
            "line 3 of .*metrics.jsonl was edited",
        ),
        ("metrics.jsonl", lambda text: "[" * 1000 + "\n", "line 1 of .*metrics.jsonl is nested too deeply"),
        ("result.json", lambda text: text.replace('"seed": 0', '"seed": 3'), "result.json does not match its checksum"),
        ("config.json", lambda text: text.replace('"epochs": 2', '"epochs": 9'), "config.json does not match its"),
    ],
)
def test_edited_files_are_refused_by_name(
    name: str, edit: Callable, says: str, finished: dict[str, Path], tmp_path: Path, place: RunOptions
):
    run = tmp_path / "run"
    shutil.copytree(finished["a"], run)
    (run / name).write_text(edit((run / name).read_text()))
    with pytest.raises(ValueError, match=says):
        _use(run, place)


@pytest.mark.parametrize(
    "change", [{"recipe": "X/outside"}, {"seed": "0/../../evil"}, {"test_accuracy": "high"}, {"seals": {}}]
)
def test_a_result_with_a_new_checksum_is_refused_by_name(
    change: dict, finished: dict[str, Path], tmp_path: Path, place: RunOptions
):
    run = tmp_path / "run"
    shutil.copytree(finished["a"], run)
    write_json(run / "result.json", read_json(run / "result.json") | change)
    with pytest.raises(ValueError, match=r"result\.json"):
        _use(run, place)


def _untied(finished: Path, run: Path) -> Path:
    """Copy a run as it would be from before its files were tied to each other."""
    shutil.copytree(finished, run)
    for name in ("config.json", "environment.json", "model.json", "result.json"):
        content = read_json(run / name)
        write_json(
            run / name, {key: content[key] for key in content if key not in ("run", "seals") and "sha256" not in key}
        )
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    text = "".join(json.dumps({key: row[key] for key in row if key != "sha256"}) + "\n" for row in rows)
    (run / "metrics.jsonl").write_text(text)
    return run


def test_a_run_from_before_files_were_tied_is_used_as_ever(
    finished: dict[str, Path], tmp_path: Path, place: RunOptions
):
    run = _untied(finished["a"], tmp_path / "run")
    _use(run, place)
    assert [row["epoch"] for row in RunFolder.open(run).metrics()] == [0, 1]
    shutil.copy(finished["b"] / "result.json", run / "result.json")
    with pytest.raises(ValueError, match=r"result\.json does not belong to .*config\.json"):
        open_run(run)


@pytest.mark.parametrize("words", [["evaluate"], ["evaluate", "--split", "train"], ["report", "--out", "page"]])
def test_a_model_of_another_run_is_told_from_its_accuracy_where_nothing_else_ties_it(
    words: list[str], finished: dict[str, Path], tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    run = _untied(finished["a"], tmp_path / "run")
    command = [words[0], str(run), *words[1:]]
    assert main(command) == 0
    shutil.copy(finished["b"] / "model.safetensors", run)
    for kept in run.glob("evaluations.jsonl"):
        kept.unlink()
    capsys.readouterr()
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "run/model.safetensors does not belong to" in said and "run/result.json: all_blocks is" in said


def test_what_is_gone_from_a_finished_run_is_named_and_nothing_is_trained_over_it(
    finished: dict[str, Path], tmp_path: Path, place: RunOptions
):
    run = tmp_path / "run"
    shutil.copytree(finished["a"], run)
    (run / "result.json").unlink()
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    for use in (lambda: resume(run, place), lambda: open_run(run)):
        with pytest.raises(ValueError, match=r"run holds the model of a finished run, but its result\.json is gone"):
            use()
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    shutil.copy(finished["a"] / "result.json", run)
    _use(run, place)
    (run / "model.json").unlink()
    for use in (load_model, model_folder):
        with pytest.raises(ValueError, match=r"run has finished, but its model\.json is gone: restore the file"):
            use(run)


_NOT_OF_AN_EXPORT = ("environment.json", "metrics.jsonl", "result.json")


def test_an_export_has_no_result_and_is_not_gone_on_with(finished: dict[str, Path], tmp_path: Path, place: RunOptions):
    shutil.copytree(finished["a"], tmp_path / "small", ignore=lambda *_: _NOT_OF_AN_EXPORT)
    with pytest.raises(ValueError, match="small is an exported model, which has no result: name the run"):
        resume(tmp_path / "small", place)


def test_a_checkpoint_of_another_run_is_refused_by_name(toy_recipe: Recipe, tmp_path: Path):
    ours, theirs = (RunFolder.create(tmp_path, replace(toy_recipe, seed=seed), toy_environment()) for seed in (0, 1))
    notes = {"epoch": 1, "step_in_epoch": 0, "epoch_seconds": 0.0, "train_seconds": 1.0}
    theirs.save_checkpoint({"a": torch.zeros(1)}, notes)
    assert theirs.load_checkpoint() is not None
    shutil.copy(theirs.path / "checkpoint.safetensors", ours.path)
    with pytest.raises(ValueError, match=r"checkpoint\.safetensors does not belong to .*config\.json"):
        ours.load_checkpoint()


@pytest.mark.parametrize("fault", [{"epoch": "1"}, {"epoch": None}, {"step_in_epoch": 1.5}, {"train_seconds": []}])
def test_the_notes_of_a_checkpoint_have_their_form(fault: dict, toy_recipe: Recipe, tmp_path: Path):
    run = RunFolder.create(tmp_path, toy_recipe, toy_environment())
    notes = {"epoch": 1, "step_in_epoch": 0, "epoch_seconds": 0.0, "train_seconds": 1.0}
    run.save_checkpoint({}, notes | fault)
    with pytest.raises(ValueError, match=rf"{next(iter(fault))} in the notes in .*checkpoint\.safetensors must be"):
        run.load_checkpoint()


def test_a_part_of_another_step_is_refused_by_name(toy_recipe: Recipe, tmp_path: Path):
    run = RunFolder.create(tmp_path, toy_recipe, toy_environment()).path
    notes = {"epoch": 0, "step_in_epoch": 1, "epoch_seconds": 0.0, "train_seconds": 1.0}
    for step in (1, 2):
        spot = checkpoints.Spot(0, step)
        checkpoints.save_part(run, spot, "rest", {}, notes)
        block = {"loss_sum.0": torch.zeros(()), "first_bad.0": torch.tensor(-1)}
        checkpoints.save_part(run, spot, "block-0", block, {})
    checkpoints.seal(run, checkpoints.Spot(0, 1), 1)
    checkpoints.read(run, "checkpoint")
    shutil.copy(run / "checkpoint" / "0-2" / "block-0.safetensors", run / "checkpoint" / "0-1")
    with pytest.raises(ValueError, match=r"block-0\.safetensors is of another step"):
        checkpoints.read(run, "checkpoint")


@pytest.mark.parametrize("fault", ["missing tensor", "another shape", "no such epoch"])
def test_a_checkpoint_that_does_not_fit_is_one_line(fault: str, toy_recipe: Recipe, place: RunOptions, monkeypatch):
    module = sys.modules["onward.runs.train"]
    monkeypatch.setattr(module, "follow", lambda training, folder, *_: _stop(training, folder))
    with pytest.raises(KeyboardInterrupt):
        train(toy_recipe, place)
    run = place.runs_dir / "toy" / "seed-0"
    tensors, notes = read_tensors(run / "checkpoint.safetensors")
    if fault == "missing tensor":
        del tensors["loss_sum"]
    elif fault == "another shape":
        tensors["optimizer.0.exp_avg.0"] = torch.zeros(3)
    else:
        notes["epoch"] = 1000
    write_tensors(run / "checkpoint.safetensors", tensors, notes)
    with pytest.raises(ValueError, match=r"the checkpoint in .*seed-0 does not fit this run"):
        resume(run, place)


def _stop(training: Any, folder: RunFolder) -> None:
    next(iter(training))
    folder.save_checkpoint(*training.state())
    raise KeyboardInterrupt


def test_lost_files_of_a_stopped_run_are_told(tmp_path: Path, toy_recipe: Recipe, capsys):
    run = RunFolder.create(tmp_path, toy_recipe, toy_environment())
    for epoch in range(3):
        run.append_metrics(metrics_row(epoch))
    run.keep_metrics(3, resumed=True)
    assert capsys.readouterr().err == ""
    run.keep_metrics(0, resumed=False)
    assert "has no checkpoint: the training begins again, also the 3 epochs" in capsys.readouterr().err
    run.keep_metrics(2, resumed=True)
    assert "metrics.jsonl lacks 2 of the 2 epochs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"losses": [1.0]}, "losses in line 1 of .* must be an object"),
        ({"losses": {"0": "x"}}, "'0' of losses in line 1 of .* must be a number"),
        ({"validation_accuracy": None}, "validation_accuracy in line 1 of"),
        ({"block_accuracy": 3}, "block_accuracy in line 1 of .* must be a list"),
        ({"epoch": "0"}, "epoch in line 1 of .* must be a whole number"),
        ({"train_seconds": "x"}, "train_seconds in line 1 of"),
    ],
)
def test_a_row_of_another_form_names_file_line_and_field(change: dict, says: str, tmp_path: Path):
    (tmp_path / "metrics.jsonl").write_text(json.dumps(metrics_row(0) | change) + "\n")
    with pytest.raises(ValueError, match=says):
        Metrics(tmp_path / "metrics.jsonl", "", old=True).rows()


@pytest.mark.parametrize("change", [{"test_accuracy": 0.99}, {"n_validation": 7}, {"data_note": "all of it"}])
def test_an_edited_number_of_a_result_is_refused_even_with_a_new_checksum(
    change: dict[str, Any], finished: dict[str, Path], tmp_path: Path, place: RunOptions
):
    run = tmp_path / "run"
    shutil.copytree(finished["a"], run)
    write_json(run / "result.json", read_json(run / "result.json") | change)
    with pytest.raises(ValueError, match=r"result\.json does not belong to .*model\.json: its numbers"):
        _use(run, place)


def test_the_environment_of_a_stopped_run_cannot_say_what_the_run_says(
    finished: dict[str, Path], tmp_path: Path, place: RunOptions
):
    run = tmp_path / "run"
    shutil.copytree(finished["a"], run)
    wanted = read_result(run / "result.json")
    for name in ("result.json", "model.json", "model.safetensors", "metrics.jsonl"):
        (run / name).unlink()
    environment = read_json(run / "environment.json")
    write_json(
        run / "environment.json", environment | {"test_accuracy": 0.999, "recipe": "another", "n_test": 9, "later": 1}
    )
    found = resume(run, place)[1]
    assert found.others == {"later": 1}
    assert (found.test_accuracy, found.recipe, found.n_test) == (wanted.test_accuracy, wanted.recipe, wanted.n_test)


def test_a_model_that_is_not_that_of_the_result_is_refused_and_none_is_saved_there(
    finished: dict[str, Path], tmp_path: Path
):
    run = tmp_path / "run"
    shutil.copytree(finished["a"], run)
    learner, spec = load_model(run)
    with pytest.raises(ValueError, match=r"holds a finished run.*name another folder"):
        save_model(run, learner, spec)
    load_model(run)
    for name in ("config.json", "model.json", "model.safetensors"):
        shutil.copy(finished["b"] / name, run / name)
    with pytest.raises(ValueError, match=r"model\.json does not belong to .*result\.json"):
        load_model(run)
