"""Results: records, statistics over seeds, and the tables."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from onward.algorithms import ASGE
from onward.core import TrainerSettings
from onward.data import Augmentation, DataSettings
from onward.data.public import COPIES
from onward.nets import TinyCNN
from onward.recipes import RECIPES, ROWS, Published, Recipe, find
from onward.results.numbers import spread
from onward.results.pages import insert, method_pages, results_page, short_table, write_results
from onward.runs import RunResult
from onward.runs.records import read_records, record
from onward.storage.files import read_json, write_json
from toy_trainings import toy_result

_RECIPE = replace(RECIPES[0], published=None, epochs=2)


def _result(name: str, seed: int, accuracy: float, recipe: Recipe = _RECIPE, **more: Any) -> RunResult:
    return toy_result(replace(recipe, name=name, seed=seed), accuracy, **more)


def test_records_are_filed_by_recipe_and_seed(tmp_path: Path):
    assert record(tmp_path, _result("a-b", 3, 0.9)) == tmp_path / "runs" / "a-b" / "seed-3.json"


def test_a_noted_copy_of_the_images_has_a_folder_and_a_row_of_its_own(tmp_path: Path):
    record(tmp_path, _result("a", 0, 0.8))
    path = record(tmp_path, _result("a", 0, 0.9, data_note="CIFAR-10, 40k train"))
    assert path == tmp_path / "runs" / "a" / "cifar-10-40k-train" / "seed-0.json"
    found = read_records(tmp_path)
    assert {row.data: [run.accuracy for run in runs] for row, runs in found.items()} == {
        "digits": [0.8],
        "CIFAR-10, 40k train": [0.9],
    }


def test_the_table_has_mean_interval_seeds_control_gap_and_published(tmp_path: Path):
    published = Published(test_accuracy=0.95, source="somebody, table 1", deviation=0.001, seeds=3)
    local = replace(_RECIPE, published=published)
    for seed, accuracy in enumerate((0.90, 0.92, 0.94)):
        record(tmp_path, _result("local", seed, accuracy, local))
    for seed, accuracy in enumerate((0.97, 0.98)):
        record(tmp_path, _result("backprop-local", seed, accuracy))
    table = results_page(tmp_path)
    row = next(line for line in table.splitlines() if line.startswith("| `local`"))
    assert (
        "| one layer | 92.00 ± 2.00 | 87.03 to 96.97 | 3 | 97.50 ± 0.71 | -6.50 ± 6.35 "
        "| 95.00 ± 0.10 (somebody, table 1) | not shown, -3.00 "
        "| last_block 82.00 ± 2.00 | 1.23 M | 2 | 1.5 | a machine |"
    ) in row


def test_a_control_on_other_images_is_no_control(tmp_path: Path):
    for name, checksum in (("local", "a" * 64), ("backprop-local", "b" * 64)):
        record(tmp_path, _result(name, 0, 0.9, data_checksum=checksum))
    row = next(line for line in results_page(tmp_path).splitlines() if line.startswith("| `local`"))
    assert "| one layer | 90.00 |  | 1 |  |  |" in row
    record(tmp_path, _result("backprop-local", 0, 0.95, data_checksum="a" * 64))
    row = next(line for line in results_page(tmp_path).splitlines() if line.startswith("| `local`"))
    assert "| one layer | 90.00 |  | 1 | 95.00 | -5.00 |" in row


def test_a_bar_in_a_source_is_no_cell(tmp_path: Path):
    record(tmp_path, _result("local", 0, 0.9, replace(_RECIPE, published=Published(test_accuracy=0.9, source="a|b"))))
    assert "90.00 (a&#124;b)" in results_page(tmp_path)


def test_a_copy_with_another_test_split_shows_nothing_of_a_published_number(tmp_path: Path):
    listed = ROWS["mono_forward-cifar10-cpu"]
    note = "CIFAR-10, 40k train, batch 5 as test"
    for seed, accuracy in enumerate((0.970, 0.971)):
        record(tmp_path, toy_result(replace(listed, seed=seed), accuracy))
        record(tmp_path, toy_result(replace(listed, seed=seed), accuracy, data_note=note))
    copy, public = (line for line in results_page(tmp_path).splitlines() if line.startswith(f"| `{listed.name}`"))
    assert "| met, +" in public and "| not shown, +" in copy


def test_other_rules_are_those_that_every_seed_was_read_with(tmp_path: Path):
    record(
        tmp_path, _result("local", 0, 0.9, test_accuracy_by_rule={"best_range": 0.9, "fusion": 0.7, "last_block": 0.8})
    )
    record(tmp_path, _result("local", 1, 0.9))
    row = next(line for line in results_page(tmp_path).splitlines() if line.startswith("| `local`"))
    assert "| last_block 80.00 ± 0.00 |" in row


def test_what_has_a_published_number_and_no_run_is_listed(tmp_path: Path):
    record(tmp_path, _result("asge-mnist", 0, 0.9))
    _, _, missing = results_page(tmp_path).partition("## Not run yet")
    assert "| `asge-cifar10` | 90.62 (" in missing
    assert "`asge-mnist`" not in missing and "digits" not in missing


def test_each_method_has_a_page_of_its_own_rows(tmp_path: Path):
    other = replace(_RECIPE, algorithm=ASGE())
    record(tmp_path, _result("local", 0, 0.9))
    record(tmp_path, _result("local", 1, 0.8))
    record(tmp_path, _result("spatial", 0, 0.7, other))
    pages = method_pages(tmp_path)
    assert set(pages) == {"DeeperForward", "ASGE"}
    assert [line[:30] for line in pages["DeeperForward"].splitlines()[2:]] == ["| `local` | one layer | 85.00 "]
    assert write_results(tmp_path).read_text() == results_page(tmp_path)
    assert (tmp_path / "methods" / "ASGE.md").read_text() == pages["ASGE"]


def test_minutes_are_those_of_one_machine(tmp_path: Path):
    for seed, device, seconds in ((0, "slow", 3000.0), (1, "quick", 600.0), (2, "quick", 1200.0)):
        record(tmp_path, _result("local", seed, 0.9, device=device, train_seconds=seconds))
    (line,) = method_pages(tmp_path)["DeeperForward"].splitlines()[2:]
    assert line.endswith("| 50.0 / 15.0 | slow / quick |")


@pytest.mark.parametrize(
    "changed",
    [
        {"epochs": 3},
        {"batch_size": 16},
        {"net": TinyCNN(width=20)},
        {"data": DataSettings(name="digits", augmentation=Augmentation(flip=True))},
        {"trainer": TrainerSettings(precision="bf16")},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_control_on_another_budget_is_not_shown(tmp_path: Path, changed: dict[str, Any]):
    record(tmp_path, _result("local", 0, 0.9))
    for shown, control in ((True, _RECIPE), (False, replace(_RECIPE, **changed))):
        record(tmp_path, _result("backprop-local", 0, 0.97, control))
        row = next(line for line in results_page(tmp_path).splitlines() if line.startswith("| `local`"))
        assert ("97.00" in row) == shown


def _without(config: dict[str, Any], *names: str) -> dict[str, Any]:
    return {
        key: _without(value, *names) if isinstance(value, dict) else value
        for key, value in config.items()
        if key not in names
    }


def test_a_record_from_before_a_setting_existed_is_of_the_same_training(tmp_path: Path):
    path = record(tmp_path, _result("a", 0, 0.9))
    old = read_json(path)
    newer = ("temperature", "goodness", "normalizer", "buffer", "padding", "adamw_lr_scale", "micro_batches")
    write_json(path, {**old, "config": _without(old["config"], *newer)})
    record(tmp_path, _result("a", 1, 0.8))
    assert [len(runs) for runs in read_records(tmp_path).values()] == [2]


def test_every_record_of_the_project_is_of_the_recipe_of_its_name():
    """A second seed of any recipe must be able to stand beside the first."""
    records = read_records(Path(__file__).parents[2] / "results")
    known = {row: find(row.recipe, ROWS) for row in records}
    assert all(known.values())
    changed = [row.recipe for row, recipe in known.items() if recipe and records[row][0].recipe.differences(recipe)]
    assert len(records) > 150
    assert changed == ["backprop-trifecta-fashion_mnist-cpu"]  # its row was trained longer since


_MNIST = {"n_train": 57_000, "n_validation": 3_000, "n_test": 10_000}


def _file_under_the_name_of_before(folder: Path, seed: int) -> Path:
    """File a record as a version before 28 November 2026 did."""
    path = folder / "runs" / "asge-mnist-fast" / f"seed-{seed}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    old = _result("asge-mnist-fast", seed, 0.9, ROWS["asge-mnist-cpu"], **_MNIST).to_json()
    old["config"]["backprop"] = "backprop-asge-mnist-fast"
    for name in ("method", "variant", "scale", "backprop_rate"):
        del old["config"][name]
    write_json(path, old)
    return path


def test_records_of_a_name_of_before_stand_in_the_row_of_today(tmp_path: Path):
    old = _file_under_the_name_of_before(tmp_path, 0)
    record(tmp_path, _result("asge-mnist-cpu", 1, 0.8, ROWS["asge-mnist-cpu"], **_MNIST))
    ((row, runs),) = read_records(tmp_path).items()
    assert (row.recipe, [run.accuracy for run in runs]) == ("asge-mnist-cpu", [0.9, 0.8])
    assert {run.recipe.name for run in runs} == {"asge-mnist-cpu"}
    assert "| `asge-mnist-cpu` | " in results_page(tmp_path) and "asge-mnist-fast" not in results_page(tmp_path)
    again = record(
        tmp_path, _result("asge-mnist-cpu", 0, 0.7, ROWS["asge-mnist-cpu"], **_MNIST)
    )  # in place of the old one
    assert not old.exists() and again == tmp_path / "runs" / "asge-mnist-cpu" / "seed-0.json"


def test_a_run_that_began_under_a_name_of_before_is_filed_under_the_one_of_today(tmp_path: Path):
    path = record(tmp_path, _result("asge-mnist-fast", 0, 0.9, ROWS["asge-mnist-cpu"], **_MNIST))
    assert path == tmp_path / "runs" / "asge-mnist-cpu" / "seed-0.json"
    assert [row.recipe for row in read_records(tmp_path)] == ["asge-mnist-cpu"]


def test_two_records_of_one_seed_under_two_names_are_refused(tmp_path: Path):
    record(tmp_path, _result("asge-mnist-cpu", 0, 0.8, ROWS["asge-mnist-cpu"], **_MNIST))
    _file_under_the_name_of_before(tmp_path, 0)
    with pytest.raises(ValueError, match=r"asge-mnist-fast.seed-0.json is the second record of asge-mnist-cpu, seed 0"):
        read_records(tmp_path)


def test_seeds_that_were_trained_in_different_ways_are_no_mean(tmp_path: Path):
    record(tmp_path, _result("a", 0, 0.9))
    record(tmp_path, _result("a", 1, 0.8, replace(_RECIPE, epochs=3)))
    said = r"seed-1.json was trained with other settings than seed 0 of a \(epochs 3, not 2\): train it again"
    with pytest.raises(ValueError, match=said):
        results_page(tmp_path)


def test_seeds_that_were_trained_on_different_images_are_no_mean(tmp_path: Path):
    record(tmp_path, _result("local", 0, 0.9, data_checksum="1" * 64))
    record(tmp_path, _result("local", 1, 0.8))  # an older record, which did not note it
    read_records(tmp_path)
    path = record(tmp_path, _result("local", 2, 0.7, data_checksum="2" * 64))
    with pytest.raises(ValueError, match=rf"{path.name} was trained on other images than seed 0 of local, as their"):
        read_records(tmp_path)


def test_a_copy_with_another_test_image_is_the_public_set(tmp_path: Path):
    public = next(copy.digest for copy in COPIES if copy.left_out is not None)
    for seed, checksum in enumerate((public, "1" * 64)):
        record(tmp_path, _result("local", seed, 0.9, data_checksum=checksum))
    assert [len(runs) for runs in read_records(tmp_path).values()] == [2]


def test_costs_of_a_step_are_taken_from_the_benchmark(tmp_path: Path):
    record(tmp_path, _result("a", 0, 0.9))
    assert "weights | memory | operations | step" not in results_page(tmp_path)
    shares = {"memory_of_backprop": 0.4, "operations_of_backprop": 0.6, "step_of_backprop": 0.7}
    costs = {"method": "DeeperForward", "parameters_M": 2.5, **shares}
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "methods.json").write_text(json.dumps({"rows": [costs]}))
    assert "| 2.50 M | 0.40 | 0.60 | 0.70 |" in results_page(tmp_path)


def test_every_data_set_has_a_table_of_its_own(tmp_path: Path):
    record(tmp_path, _result("a", 0, 0.9))
    record(tmp_path, _result("b", 0, 0.9, data="cifar10", data_note="CIFAR-10, 40k train, batch 5 as test"))
    page = results_page(tmp_path).splitlines()
    ours = page.index("## CIFAR-10, 40k train, batch 5 as test")
    assert page[ours + 4].startswith("| `b`") and page[page.index("## digits") + 4].startswith("| `a`")


def test_a_damaged_record_is_named(tmp_path: Path):
    path = record(tmp_path, _result("a", 0, 0.9))
    path.write_text(path.read_text().replace("0.9", "0.99", 1))
    with pytest.raises(ValueError, match=r"seed-0\.json does not match its checksum"):
        results_page(tmp_path)


def test_spread_of_one_value_has_no_deviation():
    assert spread([0.98765]) == "98.77"
    assert spread([0.5, 0.7]) == "60.00 ± 14.14"


def test_the_short_table_goes_between_the_marks_and_nowhere_else(tmp_path: Path):
    record(tmp_path, _result("local", 0, 0.9))
    readme = tmp_path / "README.md"
    readme.write_text("above\n<!-- results -->\nold\n<!-- /results -->\nbelow\n")
    for _ in range(2):
        insert(readme, short_table(tmp_path, "digits"))
        text = readme.read_text()
        assert text.startswith("above\n<!-- results -->\n\n| images | method |")
        assert text.endswith("|\n\n<!-- /results -->\nbelow\n") and "old" not in text
        assert text.count("| one layer | 90.00 | 1 | – | `local` |") == 1


def test_a_short_table_of_a_set_without_records_is_refused(tmp_path: Path):
    record(tmp_path, _result("local", 0, 0.9))
    with pytest.raises(ValueError, match="has no record of a local method on svhn"):
        short_table(tmp_path, "svhn")


def test_a_file_without_marks_is_left_alone(tmp_path: Path):
    (tmp_path / "README.md").write_text("nothing here")
    with pytest.raises(ValueError, match="to put the results between"):
        insert(tmp_path / "README.md", "| a |")
    assert (tmp_path / "README.md").read_text() == "nothing here"


def test_a_copy_of_a_record_is_no_other_seed(tmp_path: Path):
    path = record(tmp_path, _result("local", 0, 0.9))
    copy = path.with_name("seed-1.json")
    copy.write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match=r"seed-1.json holds the record of .*seed-0.json: move it there, or delete"):
        read_records(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [("seed", 7), ("recipe", "other"), ("test_accuracy", 96.4), ("test_accuracy_by_rule", {"last_block": -0.1})],
)
def test_a_record_says_what_its_settings_say_and_fractions(tmp_path: Path, field: str, value: Any):
    path = record(tmp_path, _result("local", 0, 0.9))
    write_json(path, {**read_json(path), field: value})
    with pytest.raises(ValueError, match=r"seed-0.json cannot be read \("):
        read_records(tmp_path)


def test_one_thread_is_one_thread_in_older_records_as_well(tmp_path: Path):
    for seed, device in enumerate(("a maker, 1 threads", "a maker, 21 threads", "a maker, 1 thread")):
        record(tmp_path, _result("a", seed, 0.9, device=device))
    (runs,) = read_records(tmp_path).values()
    assert [run.result.device for run in runs] == ["a maker, 1 thread", "a maker, 21 threads", "a maker, 1 thread"]
