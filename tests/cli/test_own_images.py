"""Images of a user's own, and images in a folder named like a known set that are other images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from forked_commands import Commands
from onward.cli import main
from onward.cli.recording import file_result, report
from onward.nets import MLP
from onward.pipeline.run import Pipelining
from onward.recipes import RECIPES, lookup
from onward.recipes.lookup import find_recipe
from onward.runs import RunFolder, RunOptions, train
from onward.runs.result import read_result
from onward.storage.files import read_json

_QUICK = ["--epochs", "1", "--net.width", "10", "--device", "cpu"]


@pytest.fixture(autouse=True)
def inside_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ONWARD_DATA", raising=False)
    monkeypatch.setenv("ONWARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "my pets" / name).mkdir(parents=True)
        for number in range(8):
            pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "my pets" / name / f"{number}.png")
    return tmp_path / "my pets"


def _refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(list(words)) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def _published():
    return next(recipe for recipe in RECIPES if recipe.published and recipe.name == "symba-mnist-cpu")


def test_a_run_on_ones_own_images_is_named_after_them(pets: Path, capsys: pytest.CaptureFixture[str]):
    words = [
        "symba-mnist-cpu",
        "--epochs",
        "1",
        "--device",
        "cpu",
        "--data.size",
        "28",
        "--batch-size",
        "8",
        "--net.width",
        "20",
    ]
    assert main(["train", *words, "--data.name", "my pets"]) == 0
    out, run = capsys.readouterr().out, Path("runs/symba-cpu-on-my_pets/seed-0")
    assert str(run) in out and "published" not in out and "not recorded" in out
    config, result = read_json(run / "config.json")["recipe"], read_json(run / "result.json")
    assert config["data"]["name"] == str(pets)
    assert (result["recipe"], result["data"]) == ("symba-cpu-on-my_pets", "my pets")
    assert result["published"] is None
    assert "mnist" not in config["name"]


def test_python_prints_no_published_number_beside_other_images_either(pets: Path, capsys: pytest.CaptureFixture[str]):
    recipe = _published()
    data = replace(recipe.data, name=str(pets), size=28)
    folder, result = train(replace(recipe, data=data, epochs=1, batch_size=8), RunOptions(device="cpu"))
    assert result.published is None
    older = replace(result, published={"test_accuracy": 0.9, "source": "an older version"})
    report(folder, older)
    file_result(folder.recipe(), older, Pipelining())
    out = capsys.readouterr().out
    assert "published" not in out
    assert "not recorded: these are not the images of mnist but of my pets" in out


def test_another_named_set_is_told_in_the_name():
    recipe = find_recipe("backprop-distance_forward-digits")
    other = recipe.on_other_images(replace(recipe.data, name="mnist"), "mnist")
    assert other.name == "backprop-distance_forward-on-mnist" and other.published is None
    assert not any("-on-" in listed.name for listed in lookup.known_recipes().values())
    assert recipe.on_other_images(recipe.data, "../..").name == "backprop-distance_forward-on-_"


def test_a_relative_folder_is_found_from_everywhere(pets: Path, tmp_path: Path, monkeypatch, capsys):
    assert main(["train", *_QUICK, "--data.name", "./my pets"]) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["evaluate", str(tmp_path / "runs/deeper_forward-on-my_pets/seed-0"), "--device", "cpu"]) == 0
    assert "of my pets" in capsys.readouterr().out


def test_a_moved_folder_is_named_with_data_dir(pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["train", *_QUICK, "--data.name", str(pets)]) == 0
    run = Path("runs/deeper_forward-on-my_pets/seed-0")
    pets.rename(tmp_path / "animals")
    assert "my pets, which this run began on, is not there: give its new path with --data-dir" in _refused(
        capsys, "evaluate", str(run)
    )
    assert main(["evaluate", str(run), "--data-dir", "animals", "--device", "cpu"]) == 0
    for name in ("result.json", "model.json"):
        (run / name).unlink()
    assert main(["train", "--resume", str(run), "--data-dir", "animals", "--device", "cpu"]) == 0
    (tmp_path / "animals" / "cat" / "0.png").unlink()
    for name in ("result.json", "model.json"):
        (run / name).unlink()
    line = _refused(capsys, "train", "--resume", str(run), "--data-dir", "animals", "--device", "cpu")
    assert "began on data with checksum" in line and "--data-dir" in line


def test_a_data_dir_of_class_folders_is_not_passed_over(pets: Path, capsys: pytest.CaptureFixture[str]):
    for recipe in ("deeper_forward-digits", "symba-mnist-cpu"):
        line = _refused(capsys, "train", recipe, "--data-dir", str(pets))
        assert f"--data-dir {pets}" in line and f"--data.name {pets}" in line
    assert not Path("runs").exists()


def test_a_shortened_set_is_trained_on_but_not_recorded(parquet_set, monkeypatch: pytest.MonkeyPatch, capsys):
    listed = next(recipe for recipe in RECIPES if recipe.name == "symba-mnist-cpu")
    quick = replace(listed, epochs=1, net=MLP(depth=2, width=20))
    monkeypatch.setattr(lookup, "RECIPES", (quick,))
    place = ["--data-dir", str(parquet_set()), "--device", "cpu"]
    assert main(["train", "symba-mnist-cpu", *place]) == 0
    out = capsys.readouterr().out
    told = "not the images of mnist (290 train images, 60,000 expected)"
    assert f"data          {told}" in out and f"not recorded: these are {told}" in out
    assert "published" not in out and not Path("results").exists()
    run = Path("runs/symba-mnist-cpu/seed-0")
    assert main(["evaluate", str(run), *place]) == 0
    assert "not the images of mnist" in " ".join(capsys.readouterr().out.split())
    older = replace(read_result(run / "result.json"), data_note="")  # as an older version wrote it
    file_result(RunFolder.open(run).recipe(), older, Pipelining())
    assert f"not recorded: these are {told}" in capsys.readouterr().out
    assert main(["reproduce", "symba-mnist-cpu", "--seeds", "1", *place]) == 0
    assert "published" not in capsys.readouterr().out and not Path("results").exists()


def test_a_warning_is_one_line(pets: Path, commands: Commands):
    (pets / "cat" / "Thumbs.db").write_text("x")
    words = ["train", *_QUICK, "--data.name", str(pets), "--data.validation-fraction", "0.5"]
    done = commands.start(*words).finished()
    assert done.returncode == 0, done.stderr
    wanted = f"onward: warning: 1 files in {pets} are no images and were skipped, such as {pets / 'cat' / 'Thumbs.db'}"
    assert wanted in done.stderr.splitlines() and "UserWarning" not in done.stderr and ".py" not in done.stderr
