"""What commands average over seeds is one training on one copy of the images."""

from dataclasses import replace
from pathlib import Path

import pytest

from onward.cli import main
from onward.recipes.lookup import find_recipe
from onward.runs.records import record
from toy_trainings import toy_result

COPY = "CIFAR-10, 40k train, batch 5 as test"
CIFAR10, DIGITS = find_recipe("distance_forward-cifar10-cpu"), find_recipe("mono_forward-digits")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_reproduce_keeps_copies_of_a_set_apart(capsys: pytest.CaptureFixture[str]):
    for seed, accuracy in enumerate((0.5, 0.6)):
        record(Path("results"), toy_result(replace(CIFAR10, seed=seed), accuracy, data_note=COPY))
    record(Path("results"), toy_result(CIFAR10, 0.8))
    assert main(["reproduce", CIFAR10.name, "--seeds", "2"]) == 0
    assert f"{CIFAR10.name}: 55.00 ± 7.07 % over 2 seeds on {COPY}\n" in capsys.readouterr().out
    record(Path("results"), toy_result(replace(CIFAR10, seed=1), 0.9))
    assert main(["reproduce", CIFAR10.name, "--seeds", "2"]) == 0
    assert f"{CIFAR10.name}: 85.00 ± 7.07 % over 2 seeds\n" in capsys.readouterr().out


def test_reproduce_takes_no_mean_over_different_images(capsys: pytest.CaptureFixture[str]):
    for seed in range(2):
        record(Path("results"), toy_result(replace(DIGITS, seed=seed), data_checksum=str(seed) * 64))
    assert main(["reproduce", DIGITS.name, "--seeds", "2"]) == 2
    assert f"{DIGITS.name}: seed 1 was trained on other images than seed 0, as their" in capsys.readouterr().err


def test_reproduce_trains_what_is_missing_on_the_copy_that_is_there(monkeypatch: pytest.MonkeyPatch, capsys):
    record(Path("results"), toy_result(DIGITS, 0.5, data_note=COPY))
    record(Path("results"), toy_result(replace(DIGITS, seed=1), 0.7))
    trained = toy_result(DIGITS, 0.9)
    monkeypatch.setattr("onward.cli.reproduce._trained", lambda recipe, options: replace(trained, seed=recipe.seed))
    assert main(["reproduce", DIGITS.name, "--seeds", "2"]) == 0
    assert f"{DIGITS.name}: 80.00 ± 14.14 % over 2 seeds\n" in capsys.readouterr().out


def test_show_gives_records_of_former_settings_a_line_of_their_own(capsys: pytest.CaptureFixture[str]):
    for seed, (accuracy, epochs) in enumerate(((0.9, DIGITS.epochs), (0.2, 3), (0.8, DIGITS.epochs))):
        record(Path("results"), toy_result(replace(DIGITS, seed=seed, epochs=epochs), accuracy))
    assert main(["show", DIGITS.name]) == 0
    recorded = [line.partition("  ")[2].strip() for line in capsys.readouterr().out.splitlines() if "recorded" in line]
    assert recorded == [
        "85.00 %  digits  2 x 1.5 minutes",
        f"20.00 %  digits  1 x 1.5 minutes  (trained with epochs 3, not {DIGITS.epochs})",
    ]


def test_no_records_make_no_pages(capsys: pytest.CaptureFixture[str]):
    Path("results/runs").mkdir(parents=True)
    assert main(["results", "--leaderboard", "page.md"]) == 2
    assert capsys.readouterr().err.startswith("onward: results/runs has no records; `onward train RECIPE` records")
    assert not Path("results/RESULTS.md").exists()
