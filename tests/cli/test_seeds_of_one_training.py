"""What commands average over seeds is one training on one copy of the images."""

from dataclasses import replace
from pathlib import Path

import pytest

from onward.cli import main
from onward.cli.index import summarized
from onward.recipes import Published, control
from onward.recipes.lookup import find_recipe
from onward.runs.queue import is_recorded
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


def test_reproduce_trains_nothing_where_the_images_have_changed(capsys: pytest.CaptureFixture[str]):
    record(Path("results"), toy_result(DIGITS, 0.5, data_checksum="0" * 64))
    assert main(["reproduce", DIGITS.name, "--seeds", "2"]) == 2
    said = capsys.readouterr().err
    assert f"seed 0 of {DIGITS.name} was trained on other images than those of digits now" in said
    assert not Path("runs").exists()


def test_a_copy_of_a_record_is_no_seed_for_any_command(capsys: pytest.CaptureFixture[str]):
    path = record(Path("results"), toy_result(DIGITS, 0.5))
    path.with_name("seed-1.json").write_bytes(path.read_bytes())
    for words in (["reproduce", DIGITS.name, "--seeds", "2"], ["show", DIGITS.name], ["results"]):
        assert main(words) == 2
        assert "seed-1.json holds the record of " in capsys.readouterr().err
    assert len(summarized(Path("results"), {})[DIGITS.name].tests) == 1
    with pytest.raises(ValueError, match=r"seed-1\.json holds the record"):
        is_recorded(replace(DIGITS, seed=1), Path("results"), "")


def test_numbers_beside_published_ones_have_their_unit(monkeypatch: pytest.MonkeyPatch, capsys):
    published = Published(test_accuracy=0.3, source="somebody", deviation=0.02)
    recipe = replace(DIGITS, name="numbers-of_digits", published=published)
    monkeypatch.setattr("onward.cli.reproduce.find_recipe", lambda name: recipe)
    for seed, r2 in enumerate((-0.5, 0.5)):
        record(Path("results"), toy_result(replace(recipe, seed=seed), r2, task="values", test_accuracy_by_rule={}))
    assert main(["reproduce", recipe.name, "--seeds", "2"]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == [
        f"{recipe.name}: R2 0.0000 ± 0.7071 over 2 seeds",
        "published: R2 0.3000 ± 0.0200 (somebody); not shown, -0.3000",
    ]
    assert main(["results"]) == 0
    assert "| R2 0.3000 ± 0.0200 (somebody) | not shown, -0.3000 |" in Path("results/RESULTS.md").read_text()


def test_files_for_tables_are_checked_before_anything_is_written(capsys: pytest.CaptureFixture[str]):
    record(Path("results"), toy_result(DIGITS, 0.5))
    for words, says in (
        (["--into", "none.md"], "--into none.md does not exist: give a text file"),
        (["--leaderboard", "."], "--leaderboard . is a folder: give the path of a Markdown file"),
        (["--leaderboard", "none/page.md"], "--leaderboard none/page.md: there is no folder none: make it first"),
    ):
        assert main(["results", *words]) == 2
        assert says in capsys.readouterr().err and not Path("results/RESULTS.md").exists()
    Path("results/benchmarks").mkdir()
    Path("results/benchmarks/methods.json").write_text("{}")
    assert main(["results"]) == 2
    assert "methods.json is not what benchmarks/methods.py writes (KeyError: 'rows')" in capsys.readouterr().err


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
        "85.00 ± 7.07 %  digits  2 x 1.5 minutes",
        f"20.00 %  digits  1 x 1.5 minutes  (trained with epochs 3, not {DIGITS.epochs})",
    ]


def test_no_records_make_no_pages(capsys: pytest.CaptureFixture[str]):
    Path("results/runs").mkdir(parents=True)
    assert main(["results", "--leaderboard", "page.md"]) == 2
    assert capsys.readouterr().err.startswith("onward: results/runs has no records; `onward train RECIPE` records")
    assert not Path("results/RESULTS.md").exists()


def test_show_says_what_seeds_show_beside_the_published_number(capsys: pytest.CaptureFixture[str], monkeypatch):
    recipe = replace(DIGITS, published=Published(test_accuracy=0.95, source="somebody", deviation=0.01))
    monkeypatch.setattr("onward.cli.show.find_recipe", lambda name: recipe)
    for seed, accuracy in enumerate((0.90, 0.91, 0.92)):
        record(Path("results"), toy_result(replace(recipe, seed=seed), accuracy))
    assert main(["show", recipe.name]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert next(line[12:] for line in lines if line.startswith("published")) == "95.00 ± 1.00 %  somebody"
    recorded = next(line[12:] for line in lines if line.startswith("recorded"))
    assert recorded == "91.00 ± 1.00 %  digits  3 x 1.5 minutes  short, -4.00"


def test_show_puts_no_control_on_other_images_beside_a_row(capsys: pytest.CaptureFixture[str]):
    own = control(DIGITS, "backprop")
    record(Path("results"), toy_result(own, 0.6, data_note=COPY))
    record(Path("results"), toy_result(DIGITS, 0.5))
    wanted = f"not trained yet: onward train {DIGITS.name} --control backprop"
    for accuracy, shown in ((None, wanted), (0.7, f"70.00 %  digits  1 x 1.5 minutes  {own.name}")):
        if accuracy is not None:
            record(Path("results"), toy_result(own, accuracy))
        assert main(["show", DIGITS.name]) == 0
        beside = [line[12:] for line in capsys.readouterr().out.splitlines() if line.startswith("backprop")]
        assert beside == [shown]
