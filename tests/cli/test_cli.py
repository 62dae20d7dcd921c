"""The command line: each command, its exit code, and one clear line for every user's mistake."""

import json
import re
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from onward.cli import main, measure
from onward.cli import train as train_command
from onward.cli.arguments import _ELSEWHERE
from onward.data import load
from onward.recipes import RECIPES, lookup
from onward.recipes.lookup import find_recipe
from onward.runs import start_messages, train
from onward.runs.result import Placement, RunEnvironment
from onward.storage.files import read_json, write_json

_QUICK = ["--epochs", "1", "--net.width", "10", "--device", "cpu"]
_SCREEN = 50  # lines


@pytest.fixture(autouse=True)
def inside_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ONWARD_DATA", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def run() -> Path:
    assert main(["train", *_QUICK]) == 0
    return Path("runs/deeper_forward-digits/seed-0")


def _error(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run a command that a user got wrong; return its one line."""
    capsys.readouterr()
    assert main(list(words)) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("onward: ")
    return lines[0]


def test_train_says_accuracy_and_run_and_does_not_record_a_changed_recipe(capsys: pytest.CaptureFixture[str]):
    assert main(["train", *_QUICK]) == 0
    out, run = capsys.readouterr().out, Path("runs/deeper_forward-digits/seed-0")
    assert "test accuracy" in out and str(run) in out
    assert "not recorded" in out
    assert not Path("results").exists()
    config = read_json(run / "config.json")["recipe"]
    assert (config["epochs"], config["net"]["width"]) == (1, 10)


def test_an_unchanged_recipe_is_recorded(monkeypatch: pytest.MonkeyPatch, capsys):
    quick = replace(RECIPES[0], epochs=1)
    monkeypatch.setattr(lookup, "RECIPES", (quick,))
    assert main(["train", "--seed", "4"]) == 0
    path = Path("results/runs/deeper_forward-digits/seed-4.json")
    assert str(path) in capsys.readouterr().out
    wanted = {"recipe", "seed", "test_accuracy", "published", "n_train", "n_test", "data_checksum"}
    wanted |= {"device", "train_seconds", "epochs", "parameters", "commit"}
    assert wanted <= read_json(path).keys()
    assert main(["train", "--no-record"]) == 0
    assert not path.with_name("seed-0.json").exists()
    assert main(["reproduce", "deeper_forward-digits", "--seeds", "1"]) == 0
    assert path.with_name("seed-0.json").exists()
    assert "over 1 seeds" in capsys.readouterr().out
    assert main(["results"]) == 0
    assert "`deeper_forward-digits`" in Path("results/RESULTS.md").read_text()


def test_a_run_with_rounded_messages_is_not_recorded(monkeypatch: pytest.MonkeyPatch, capsys):
    quick = replace(RECIPES[0], epochs=1)
    monkeypatch.setattr(lookup, "RECIPES", (quick,))
    monkeypatch.setattr(
        train_command, "train_pipelined", lambda recipe, where, how, resume, record: train(recipe, where)
    )
    train_module = sys.modules["onward.runs.train"]
    for number, messages in enumerate(("bf16", "exact")):  # as environment.json of a pipeline has it
        placement = Placement(stages=(1, 1), replicas=1, messages=messages, balance="measured", session="one")
        monkeypatch.setattr(train_module, "RunEnvironment", partial(RunEnvironment, pipeline=placement))
        assert main(["train", "--seed", str(number), "--pipeline", "--messages", messages, "--device", "cpu"]) == 0
        said = "not recorded: messages were rounded to bf16"
        assert (said in capsys.readouterr().out) == (messages == "bf16")
        assert main(["train", "--resume", f"runs/{quick.name}/seed-{number}"]) == 0
        assert (said in capsys.readouterr().out) == (messages == "bf16")
        assert (Path("results/runs") / quick.name / f"seed-{number}.json").exists() == (messages == "exact")


def test_a_recipe_that_is_not_in_the_list_is_not_recorded(monkeypatch: pytest.MonkeyPatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(lookup, "RECIPES", (replace(RECIPES[0], name="mine-digits", epochs=1),))
        assert main(["train", "--no-record", "--device", "cpu"]) == 0
    capsys.readouterr()
    assert main(["train", "--resume", "runs/mine-digits/seed-0"]) == 0
    out, err = capsys.readouterr()
    assert "test accuracy" in out and "not recorded: `onward list` shows no recipe 'mine-digits'" in out and not err
    assert not Path("results").exists()


def test_reproduce_does_not_repeat_what_is_recorded(monkeypatch: pytest.MonkeyPatch):
    quick = replace(RECIPES[0], epochs=1)
    monkeypatch.setattr(lookup, "RECIPES", (quick,))
    assert main(["reproduce", quick.name, "--seeds", "2"]) == 0
    assert len(list(Path("runs").glob("*/seed-*"))) == 2
    assert main(["reproduce", quick.name, "--seeds", "2"]) == 0
    assert len(list(Path("runs").glob("*/seed-*"))) == 2
    for path in Path("results").glob("runs/*/seed-*.json"):  # as if recorded before there was such a setting
        result = read_json(path)
        del result["config"]["algorithm"]["mirrored"]
        write_json(path, result)
    assert main(["reproduce", quick.name, "--seeds", "2"]) == 0
    assert len(list(Path("runs").glob("*/seed-*"))) == 2
    monkeypatch.setattr(lookup, "RECIPES", (replace(quick, batch_size=128),))
    assert main(["reproduce", quick.name, "--seeds", "1"]) == 0
    assert len(list(Path("runs").glob("*/seed-*"))) == 3


def test_evaluate_agrees_with_the_result(run: Path, capsys: pytest.CaptureFixture[str]):
    result = read_json(run / "result.json")
    capsys.readouterr()
    assert main(["evaluate", str(run)]) == 0
    out = capsys.readouterr().out
    for rule, value in result["test_accuracy_by_rule"].items():
        assert any(rule in line and f"{100 * value:.2f}" in line for line in out.splitlines())
    assert main(["evaluate", str(run), "--split", "validation"]) == 0
    assert f"{100 * result['validation_accuracy']:.2f}" in capsys.readouterr().out


def test_evaluate_refuses_other_data_than_those_of_the_training(run: Path, capsys: pytest.CaptureFixture[str]):
    write_json(run / "environment.json", read_json(run / "environment.json") | {"data_checksum": "0" * 64})
    assert "began on data with checksum 000000000000" in _error(capsys, "evaluate", str(run))


def test_predict_shows_class_confidence_and_each_block(run: Path, capsys: pytest.CaptureFixture[str]):
    Image.fromarray(np.full((20, 20, 3), 200, dtype=np.uint8)).save("one.png")
    Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save("two.png")
    capsys.readouterr()
    assert main(["predict", str(run), "one.png", "two.png"]) == 0
    out = capsys.readouterr().out
    assert "one.png" in out and "two.png" in out and "confidence" in out
    assert out.count("block 3") == 2
    assert main(["predict", str(run), "one.png", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert np.shape(row["block_scores"]) == (4, 10)
    assert row["class"] in row["class_names"] and 0 < row["confidence"] <= 1


def test_resume_of_a_finished_run_reports_it_again(run: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["train", "--resume", str(run)]) == 0
    assert "test accuracy" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["trian"], "did you mean train"),
        (["train", "deper_forward-mnist"], "did you mean deeper_forward-mnist-cpu"),
        (["train", "--epohs", "3"], "did you mean --epochs"),
        (["show", "scff-digits", "cafo-digits"], "cafo-digits: `onward show` takes one name at a time"),
        (["train", "--epochs", "many"], "--epochs takes a whole number, not 'many'"),
        (["train", "--trainer.warmup", "x"], "--trainer.warmup takes a number, not 'x'"),
        (["train", "--data.size", "x"], "--data.size takes a whole number or None, not 'x'"),
        (["train", "--trainer.clip-norm", "1,5"], "--trainer.clip-norm takes a number or None, not '1,5'"),
        (["train", "--epochs", "0"], "epochs of Recipe must be a whole number in [1, 2147483647], got 0"),
        (["train", "--batch-size", "-4"], "batch_size of Recipe must be a whole number in [1, 2147483647], got -4"),
        (["train", "--seed", "-1"], "seed of Recipe must be"),
        (["train", "--trainer.precision", "fp64"], "fp64"),
        (["train", "--trainer.learning-rate", "-1"], "learning_rate of TrainerSettings must be"),
        (["train", "--trainer.learning-rate", "nan"], "learning_rate of TrainerSettings must be"),
        (["train", "--trainer.cache-activations"], "needs order cascade"),
        (["train", "--net.width", "33"], "nearest widths are 30 or 40"),
        (["train", "--net.dropout", "1"], "dropout of TinyCNN must be a number in [0, 1), got 1"),
        (["train", "--data.name", "mnits"], "mnist"),
        (["train", "--data.name", "./nowhere"], "nowhere"),
        (["train", "--data.validation-fraction", "2"], "validation_fraction"),
        (["train", "--device", "cuda:99"], "cuda:99"),
        (["train", "--device", "toaster"], "toaster"),
        (["train", "--resume", "nowhere"], "nowhere does not exist; name the folder of a run"),
        (["train", "--resume", "."], ". is not a run folder: it has no config.json"),
        (["train", "--init", "nowhere"], "nowhere does not exist; name the folder of a run or of a saved model"),
        (["train", "--resume", "nowhere", "--epochs", "3"], "nowhere does not exist"),
        (["train", "--name", "mine"], "--name"),
        (["train", "deeper_forward-mnist-cpu", "--data-dir", "nowhere"], "nowhere"),
        (["evaluate", "nowhere"], "nowhere does not exist; name the folder of a run"),
        (["evaluate", "."], ". is not a run folder: it has no config.json"),
        (["predict", "nowhere", "x.png"], "nowhere does not exist; name the folder of a run or of a saved model"),
        (["report", "nowhere"], "nowhere does not exist; name the folder of a run"),
        (["predict", "nowhere"], "no image"),
        (["reproduce", "nothing"], "unknown recipe"),
        (["reproduce", "deeper_forward-digits", "--seeds", "0"], "--seeds"),
        (["reproduce", "deeper_forward-digits", "--seeds", "999999999"], "at most 10000, got 999999999"),
        (["results"], "has no records"),
        (["train", "--runs-dir", ""], "--runs-dir is empty: give it a value"),
        (["train", "--runs-dir="], "--runs-dir is empty: give it a value"),
        (["train", "--runs-dir", "a\0b"], r"--runs-dir 'a\x00b' has a zero byte"),
        (["evaluate", ""], "a word is empty"),
        (["queue", "nowhere.txt"], "onward: nowhere.txt cannot be read (No such file or directory)"),
        (["--with", ".", "list"], "does not exist"),
        (["list", "nosuch"], "no recipe has 'nosuch'; `onward list` shows all"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(words: list[str], says: str, capsys: pytest.CaptureFixture[str]):
    assert says in _error(capsys, *words)
    assert not Path("runs").exists()


def test_a_deleted_current_folder_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert (
        _error(capsys, "evaluate", "x")
        == "onward: the current folder is gone: change to one that is there, such as cd ~"
    )


def test_an_error_of_the_operating_system_is_told_without_its_number(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def command(words: object) -> None:
        Path("nowhere.txt").read_bytes()

    monkeypatch.setattr("onward.cli.results.run", command)
    assert _error(capsys, "results") == "onward: nowhere.txt: No such file or directory"


def test_a_file_that_is_no_image_is_named(run: Path, capsys: pytest.CaptureFixture[str]):
    Path("words.png").write_text("not an image")
    assert "words.png" in _error(capsys, "predict", str(run), "words.png")
    assert "missing.png" in _error(capsys, "predict", str(run), "missing.png")


def test_a_number_of_classes_below_one_is_refused(run: Path, capsys: pytest.CaptureFixture[str]):
    assert "--top" in _error(capsys, "predict", str(run), "any.png", "--top", "-1")


@pytest.mark.parametrize(
    ("what", "code", "says"),
    [(KeyboardInterrupt(), 130, "stopped"), (torch.OutOfMemoryError("CUDA"), 2, "--batch-size")],
)
def test_a_stop_and_a_full_device_are_one_line(what: BaseException, code: int, says: str, monkeypatch, capsys):
    def fail(*_: object, **__: object) -> None:
        raise what

    monkeypatch.setattr(measure, "run", fail)
    assert main(["measure", "deeper_forward-digits"]) == code
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("onward: ") and says in line


def test_a_corrupt_model_is_named(run: Path, capsys: pytest.CaptureFixture[str]):
    weights = run / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-5])
    assert "model.safetensors" in _error(capsys, "evaluate", str(run))


def test_a_loss_that_is_not_finite_names_block_and_step(capsys: pytest.CaptureFixture[str]):
    words = ["train", "forward_forward-digits", "--epochs", "1", "--net.width", "10", "--net.depth", "2"]
    assert main([*words, "--trainer.optimizer", "sgd", "--trainer.learning-rate", "1e30"]) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]  # below what says that the run begins
    assert line.startswith("onward: ") and "not finite since step" in line and "block" in line


def test_without_a_command_the_usage_is_shown(capsys: pytest.CaptureFixture[str]):
    assert main([]) == 2
    assert "usage: onward" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command", ["", "list", "train", "evaluate", "predict", "export", "measure", "reproduce", "results"]
)
def test_help_fits_a_screen(command: str, capsys: pytest.CaptureFixture[str]):
    try:
        assert main([*command.split(), "--help"]) == 0
    except SystemExit as stop:
        assert stop.code == 0
    out = capsys.readouterr().out
    assert 3 < len(out.splitlines()) <= _SCREEN
    assert "onward" in out


def test_help_of_a_recipe_shows_types_and_values(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["train", "forward_forward-digits", "--help"])
    out = capsys.readouterr().out
    for flag in ("--epochs INT", "--trainer.precision {fp32,bf16}", "--algorithm.threshold FLOAT", "--net.depth INT"):
        assert flag in out
    assert "--published" not in out and "--name" not in out


def test_find_recipe_knows_every_recipe():
    for recipe in RECIPES:
        assert find_recipe(recipe.name) == recipe


def test_the_module_is_the_command():
    result = subprocess.run([sys.executable, "-m", "onward", "trian"], capture_output=True, text=True)
    assert result.returncode == 2
    assert "did you mean train" in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["train", "--lr", "0.1"], "--lr, 0.1; did you mean --trainer.learning-rate?"),
        (["train", "deeper_forward-digits", "--learning_rate=0.1"], "did you mean --trainer.learning-rate?"),
        (["train", "--wd", "0"], "did you mean --trainer.weight-decay?"),
        (["train", "--dataset", "mnist", "--bs", "3"], "did you mean --data.name or --batch-size?"),
        (["train", "--trainer.epochs", "3"], "--trainer.epochs, 3; did you mean --epochs?"),
        (["train", "--net.learning-rate=3"], "did you mean --trainer.learning-rate?"),
        (["train", "--trainer.max_epochs", "3", "--seed", "1"], "did you mean --epochs?"),
        (["measure", "deeper_forward-digits", "--optim", "sgd"], "did you mean --trainer.optimizer?"),
        (["train", "deeper_forward-digits", "--resume"], "onward train --resume runs/deeper_forward-digits/seed-0"),
        (["train", "deeper_forward-digits", "--resume", "x"], "--resume takes a run folder"),
        (["train", "--resume", "x", "--batch-size", "9"], "--batch-size, 9; a run goes on with the recipe"),
        (["evaluate", "x", "--data.name", "y"], "evaluated on the images that it was trained on"),
        (["train", "--device", "hpu"], "device 'hpu' cannot be used here"),
        (["train", "--device", "privateuseone"], "device 'privateuseone' cannot be used here"),
        (["train", "--device", "None"], "device 'None' cannot be used here"),
        (["train", "--net.width", str(2**63)], f"width of TinyCNN must be a whole number in [1, {2**20}], got {2**63}"),
        (["train", "backprop-forward_forward-digits", "--net.width", str(2**64)], "width of MLP must be"),
        (["train", "--memory-limit", "9" * 400 + "GB"], "is more than any machine has"),
        (["train", "--epochs", "/long/path/" * 12], "/long/path/" * 12),
    ],
)
def test_a_mistake_names_what_was_likely_meant(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "60")
    assert says in _error(capsys, *words)
    assert not Path("runs").exists()


def test_what_other_tools_call_a_flag_is_a_flag_of_some_recipe(capsys: pytest.CaptureFixture[str]):
    flags = ""
    for name in ("deeper_forward-digits", "forward_forward-digits"):
        with pytest.raises(SystemExit):
            main(["train", name, "--help"])
        flags += capsys.readouterr().out
    assert set(_ELSEWHERE.values()) <= set(re.findall(r"--[\w.-]+", flags))


def test_train_begins_with_what_it_trains_where(capsys: pytest.CaptureFixture[str]):
    assert main(["train", *_QUICK]) == 0
    first = next(line for line in capsys.readouterr().err.splitlines() if not line.startswith("reading"))
    assert first.startswith("deeper_forward-digits: 1,293 images of digits, 26,850 parameters, on ")
    assert first.endswith("in runs/deeper_forward-digits/seed-0")


def test_a_long_reading_of_images_is_said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    def slow(*_: object, **__: object) -> object:
        time.sleep(0.3)
        return loaded

    loaded = load(RECIPES[0].data)
    monkeypatch.setattr(start_messages, "_SOON", 0.05)
    monkeypatch.setattr(start_messages, "load", slow)
    assert start_messages.images_of(RECIPES[0], None, None) is loaded
    assert capsys.readouterr().err == "reading digits\n"
    monkeypatch.setattr(start_messages, "load", lambda *_, **__: loaded)
    start_messages.images_of(RECIPES[0], None, None)
    time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_torchrun_without_a_pipeline_is_refused_and_the_first_process_speaks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    slept = []
    monkeypatch.setattr("time.sleep", slept.append)
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "TORCHELASTIC_RUN_ID": "x"}.items():
        monkeypatch.setenv(name, value)
    assert "torchrun started 2 processes, and each would train the whole run" in _error(capsys, "train")
    assert not slept
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert "add --pipeline" in _error(capsys, "train")
    assert slept == [5.0]
    assert not Path("runs").exists()


def test_a_warning_of_a_library_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(measure, "run", lambda words: warnings.warn("careful\nwith this", stacklevel=2))
        assert main(["measure", "deeper_forward-digits"]) == 0
    assert capsys.readouterr().err == "onward: warning: careful\\nwith this\n"


def test_a_resumed_run_remembers_that_it_is_not_to_be_recorded(monkeypatch: pytest.MonkeyPatch, capsys):
    quick = replace(RECIPES[0], epochs=1)
    monkeypatch.setattr(lookup, "RECIPES", (quick,))
    assert main(["train", "--no-record", "--device", "cpu"]) == 0
    capsys.readouterr()
    assert main(["train", "--resume", f"runs/{quick.name}/seed-0"]) == 0
    assert "not recorded: the run began with --no-record" in capsys.readouterr().out
    assert not Path("results").exists()
