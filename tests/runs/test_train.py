"""Carrying out a recipe: the run folder, signals, kills, resuming."""

import json
import os
import random
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from forked_commands import Commands
from onward.algorithms import DeeperForward, MonoForward
from onward.core import TrainerSettings
from onward.nets import TinyCNN
from onward.recipes import Recipe
from onward.runs import Interrupted, RunFolder, RunOptions, export_model, fit, load_model, resume, train
from onward.runs.finished import open_run
from onward.storage.files import read_json, write_json
from onward.training import Training
from onward.training.losses import LossLog
from toy_trainings import metrics_row, same_tensors, toy_environment

_FLAGS = ["--epochs", "4", "--net.width", "20", "--batch-size", "200", "--checkpoint-every", "0", "--no-record"]


def test_a_finished_run_holds_what_its_number_depends_on(toy_recipe: Recipe, place: RunOptions):
    folder, result = train(toy_recipe, place)
    names = {path.name for path in folder.path.iterdir()}
    assert names == {
        "config.json",
        "environment.json",
        "metrics.jsonl",
        "model.json",
        "model.safetensors",
        "result.json",
    }
    assert folder.path == place.runs_dir / "toy" / "seed-0"
    assert folder.recipe() == toy_recipe
    assert [row["epoch"] for row in folder.metrics()] == [0, 1, 2]
    assert folder.result() == result
    assert sum(n or 0 for n in (result.n_train, result.n_validation, result.n_test)) == 1797
    assert result.epochs == 3 and result.seed == 0 and result.device and result.versions and result.versions["torch"]
    assert 0 < result.test_accuracy <= 1
    assert result.data_checksum == folder.environment().data_checksum


def test_the_recorded_accuracy_is_that_of_the_saved_model(toy_recipe: Recipe, place: RunOptions):
    from onward.data import load

    folder, result = train(toy_recipe, place)
    learner, _ = load_model(folder.path)
    test = load(toy_recipe.data).test
    right = (learner.predict(test.pixels) == test.labels).double().mean()
    assert float(right) == pytest.approx(result.test_accuracy)


def test_runs_of_one_seed_do_not_overwrite_each_other(toy_recipe: Recipe, place: RunOptions):
    short = replace(toy_recipe, epochs=1)
    first, second = train(short, place)[0], train(short, place)[0]
    assert (first.path.name, second.path.name) == ("seed-0", "seed-0-2")
    assert same_tensors(load_model(first.path)[0].state_dict(), load_model(second.path)[0].state_dict())


def test_an_impossible_network_leaves_no_folder(toy_recipe: Recipe, place: RunOptions):
    with pytest.raises(ValueError, match="nearest widths are 10 or 20"):
        train(replace(toy_recipe, net=TinyCNN(width=11)), place)
    assert not place.runs_dir.exists()


def test_resuming_a_finished_run_returns_its_result(toy_recipe: Recipe, place: RunOptions):
    folder, result = train(replace(toy_recipe, epochs=1), place)
    assert resume(folder.path, place)[1].test_accuracy == result.test_accuracy


def test_resuming_needs_a_run_folder(tmp_path: Path, place: RunOptions):
    with pytest.raises(ValueError, match=r"no config\.json"):
        resume(tmp_path, place)


def test_resuming_on_other_data_is_refused(toy_recipe: Recipe, place: RunOptions):
    folder = RunFolder.create(place.runs_dir, toy_recipe, toy_environment())
    with pytest.raises(ValueError, match="checksum 000000000000"):
        resume(folder.path, place)


def test_a_run_stopped_before_its_first_checkpoint_starts_again(toy_recipe: Recipe, place: RunOptions):
    _, whole = train(toy_recipe, place)
    folder = RunFolder.create(place.runs_dir, toy_recipe, toy_environment(str(whole.data_checksum)))
    folder.append_metrics(metrics_row(0, begun="before the stop"))
    assert resume(folder.path, place)[1].test_accuracy_by_rule == whole.test_accuracy_by_rule
    assert [row["epoch"] for row in folder.metrics()] == [0, 1, 2]
    assert "begun" not in folder.metrics()[0]


def test_a_full_disk_keeps_the_last_checkpoint(toy_recipe: Recipe, place: RunOptions, monkeypatch: pytest.MonkeyPatch):
    saves = []
    save = RunFolder.save_checkpoint

    def fill_up(folder: RunFolder, *state) -> None:
        saves.append(folder)
        if len(saves) == 4:
            raise OSError(28, "No space left on device")
        save(folder, *state)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "save_checkpoint", fill_up)
        with pytest.raises(OSError, match="No space left"):
            train(toy_recipe, replace(place, checkpoint_every=0.0))
    tensors, notes = saves[0].load_checkpoint()
    assert tensors and notes["epoch"] * 4 + notes["step_in_epoch"] == 3
    _, whole = train(toy_recipe, place)
    assert resume(saves[0].path, place)[1].test_accuracy_by_rule == whole.test_accuracy_by_rule


def test_a_loss_that_is_not_finite_keeps_the_last_good_checkpoint(
    toy_recipe: Recipe, place: RunOptions, monkeypatch: pytest.MonkeyPatch
):
    note = LossLog.note

    def poisoned(log: LossLog, losses, ends, step: int) -> None:
        note(log, losses * (float("nan") if step == 6 else 1), ends, step)

    monkeypatch.setattr(LossLog, "note", poisoned)
    with pytest.raises(ValueError, match="block 0 is not finite since step 6"):
        train(toy_recipe, replace(place, checkpoint_every=0.0))
    _, notes = RunFolder.open(place.runs_dir / "toy" / "seed-0").load_checkpoint() or ({}, {})
    assert (notes["epoch"], notes["step_in_epoch"]) == (1, 2)


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("weights", r"learner\.blocks\.1\.body\.\S+ is not finite after step 6"),
        ("statistics", r"learner\.prepare\.mean is not finite after step 6"),
        ("optimizer", r"optimizer\.1\.exp_avg\S+ is not finite after step 6"),
    ],
)
def test_a_state_that_is_not_finite_keeps_the_last_good_checkpoint(
    where: str, says: str, toy_recipe: Recipe, place: RunOptions, monkeypatch: pytest.MonkeyPatch
):
    """The losses of the step are finite, what it leaves behind is not: it overflowed in the update."""
    state = Training.state

    def overflown(training: Training):
        if training.step == 6:
            optimizer = training.trainer.optimizers[1].parts[0].optimizer
            tensor = {
                "weights": next(training.learner.blocks[1].parameters()),
                "statistics": training.learner.prepare.mean,
                "optimizer": next(iter(optimizer.state.values()))["exp_avg"],
            }[where]
            tensor.data.fill_(float("inf"))
        return state(training)

    monkeypatch.setattr(Training, "state", overflown)
    with pytest.raises(ValueError, match=says):
        train(toy_recipe, replace(place, checkpoint_every=0.0))
    _, notes = RunFolder.open(place.runs_dir / "toy" / "seed-0").load_checkpoint() or ({}, {})
    assert (notes["epoch"], notes["step_in_epoch"]) == (1, 1)


@pytest.mark.parametrize("every", [0.0, 3600.0])
def test_an_overflow_in_the_last_step_saves_no_model(toy_recipe: Recipe, place: RunOptions, every: float):
    """A step of 1e37 leaves finite losses, since they are of the weights before it, and no finite network after it."""
    one_step = replace(toy_recipe, epochs=1, batch_size=5000, trainer=TrainerSettings(learning_rate=3e38))
    with pytest.raises(ValueError, match="is not finite after step 1; lower the learning rate"):
        train(one_step, replace(place, checkpoint_every=every))
    run = place.runs_dir / "toy" / "seed-0"
    assert {path.name for path in run.iterdir()} <= {"config.json", "environment.json", "metrics.jsonl"}


def test_fit_returns_no_network_that_is_not_finite(toy_data):
    with pytest.raises(ValueError, match="is not finite after step 1"):
        fit(
            DeeperForward(),
            TinyCNN(width=6),
            toy_data,
            epochs=1,
            batch_size=500,
            trainer=TrainerSettings(learning_rate=3e38),
        )


def test_what_killed_writes_left_goes_with_the_resumed_run(toy_recipe: Recipe, place: RunOptions):
    _, whole = train(toy_recipe, place)
    run = RunFolder.create(place.runs_dir, toy_recipe, toy_environment(str(whole.data_checksum))).path
    for name in (".checkpoint.safetensors.0123abcd", ".tmpAbCd12", "metrics.tmp"):
        (run / name).write_bytes(b"half")
    resume(run, place)
    assert not [path.name for path in run.iterdir() if path.name.startswith(".") or path.name == "metrics.tmp"]


@dataclass(frozen=True)
class OwnMethod(MonoForward):
    """A method that is not onward's."""


def test_a_method_of_ones_own_is_refused_before_anything_is_written(toy_recipe: Recipe, place: RunOptions):
    with pytest.raises(ValueError, match="OwnMethod is not registered"):
        train(replace(toy_recipe, algorithm=OwnMethod()), place)
    assert not place.runs_dir.exists()


def test_a_stopped_run_has_no_model_yet_and_says_how_to_go_on(toy_recipe: Recipe, place: RunOptions):
    run = RunFolder.create(place.runs_dir, toy_recipe, toy_environment()).path
    for use in (load_model, open_run, lambda path: export_model(path, place.runs_dir / "out")):
        with pytest.raises(ValueError, match=r"has not finished; resume it with: onward train --resume .*seed-0"):
            use(run)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_after_a_checkpoint(toy_recipe: Recipe, place: RunOptions, number: int, monkeypatch):
    note = LossLog.note

    def ask_to_stop(log: LossLog, losses, ends, step: int) -> None:
        note(log, losses, ends, step)
        if step == 5:
            os.kill(os.getpid(), number)

    handler = signal.getsignal(number)
    with monkeypatch.context() as patch:
        patch.setattr(LossLog, "note", ask_to_stop)
        with pytest.raises(Interrupted, match="--resume") as stop:
            train(toy_recipe, place)
    assert stop.value.exit_code == 128 + number
    assert signal.getsignal(number) is handler
    folder = place.runs_dir / "toy" / "seed-0"
    assert (RunFolder.open(folder).load_checkpoint() or ({}, {}))[1]["step_in_epoch"] == 2
    resumed, _ = resume(folder, place)
    whole, _ = train(toy_recipe, place)
    assert same_tensors(load_model(resumed.path)[0].state_dict(), load_model(whole.path)[0].state_dict())


def test_metrics_survive_a_row_that_was_cut_off(tmp_path: Path):
    folder = RunFolder(tmp_path)
    folder.append_metrics(metrics_row(0))
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"epo')
    assert folder.metrics() == [metrics_row(0)]
    folder.keep_metrics(1, resumed=True)
    folder.append_metrics(metrics_row(1))
    assert [row["epoch"] for row in folder.metrics()] == [0, 1]


def test_a_damaged_row_of_metrics_is_named(tmp_path: Path):
    (tmp_path / "metrics.jsonl").write_text(json.dumps(metrics_row(0)) + '\n{"epo\n')
    with pytest.raises(ValueError, match=r"line 2 of .*metrics\.jsonl is not readable JSON"):
        RunFolder(tmp_path).metrics()


def test_an_edited_configuration_is_refused(toy_recipe: Recipe, place: RunOptions):
    folder = RunFolder.create(place.runs_dir, toy_recipe, toy_environment())
    text = (folder.path / "config.json").read_text()
    (folder.path / "config.json").write_text(text.replace('"epochs": 3', '"epochs": 4'))
    with pytest.raises(ValueError, match="does not match its checksum"):
        folder.recipe()


def test_settings_of_another_version_are_refused(toy_recipe: Recipe, place: RunOptions):
    folder = RunFolder.create(place.runs_dir, toy_recipe, toy_environment())
    content = read_json(folder.path / "config.json")
    content["recipe"]["trainer"]["color"] = "blue"
    write_json(folder.path / "config.json", content)
    with pytest.raises(ValueError, match=r"TrainerSettings do not fit.*color"):
        folder.recipe()


def test_a_killed_run_resumes_to_the_same_weights(tmp_path: Path, commands: Commands):
    ours, theirs = _killed_and_whole(tmp_path, commands, kills=1)
    assert _outcome(ours) == _outcome(theirs)
    assert same_tensors(load_model(ours)[0].state_dict(), load_model(theirs)[0].state_dict())


@pytest.mark.slow
def test_a_run_killed_twenty_times_resumes_to_the_same_weights(tmp_path: Path, commands: Commands):
    ours, theirs = _killed_and_whole(tmp_path, commands, kills=20)
    assert _outcome(ours) == _outcome(theirs)
    assert same_tensors(load_model(ours)[0].state_dict(), load_model(theirs)[0].state_dict())


def _outcome(run: Path) -> tuple[float, list[dict]]:
    losses = [row["losses"] for row in RunFolder(run).metrics()]
    return read_json(run / "result.json")["test_accuracy"], losses


def _killed_and_whole(tmp_path: Path, commands: Commands, *, kills: int) -> tuple[Path, Path]:
    """Kill a run at random moments and resume it each time; return its folder, and that of a run left in peace."""
    whole = commands.start("train", *_FLAGS, "--runs-dir", str(tmp_path / "whole"))
    assert whole.wait() == 0
    draw, ended = random.Random(0), []
    process = commands.start("train", *_FLAGS, "--runs-dir", str(tmp_path / "killed"))
    for _ in range(kills):
        while not (found := list((tmp_path / "killed").glob("*/seed-0"))):
            assert process.poll() in (None, 0), "the run failed before it had a folder"
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.4))
        process.send_signal(signal.SIGKILL)
        ended.append(process.wait())
        process = commands.start("train", "--resume", str(found[0]), "--checkpoint-every", "0", "--no-record")
        time.sleep(draw.uniform(0, 4))
    assert ended[0] == -signal.SIGKILL and process.wait() == 0
    return next((tmp_path / "killed").glob("*/seed-0")), next((tmp_path / "whole").glob("*/seed-0"))
