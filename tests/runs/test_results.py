"""Results: records, spread, and the table."""

import json
from pathlib import Path

import pytest

from onward.runs.results import insert, method_pages, record, results_page, spread, summary, write_results


def _result(recipe: str, seed: int, accuracy: float, **more) -> dict:
    return {
        "recipe": recipe,
        "seed": seed,
        "test_accuracy": accuracy,
        "test_accuracy_by_rule": {"best_range": accuracy, "last_block": accuracy - 0.1},
        "backprop_recipe": None,
        "published": None,
        "epochs": 2,
        "parameters": 1_234_567,
        "train_seconds": 90.0,
        "data": "digits",
        "data_note": "",
        "device": "a machine",
        "validation_accuracy": accuracy,
        "config": {
            "algorithm": {"type": "DeeperForward"},
            "net": {"type": "TinyCNN", "width": 50},
            "data": {"name": "digits"},
            "trainer": {"optimizer": "adamw", "adamw_share": 0.02},
            "epochs": 2,
            "batch_size": 32,
        },
        **more,
    }


def test_records_are_filed_by_recipe_and_seed(tmp_path: Path):
    assert record(tmp_path, _result("a-b", 3, 0.9)) == tmp_path / "runs" / "a-b" / "seed-3.json"


def test_the_table_has_mean_deviation_seeds_control_and_published(tmp_path: Path):
    published = {"test_accuracy": 0.95, "source": "somebody, table 1"}
    for seed, accuracy in enumerate((0.90, 0.92, 0.94)):
        record(tmp_path, _result("local", seed, accuracy, backprop_recipe="control", published=published))
    record(tmp_path, _result("control", 0, 0.97))
    table = results_page(tmp_path)
    row = next(line for line in table.splitlines() if line.startswith("| `local`"))
    assert (
        "| 92.00 ± 2.00 | 3 | 97.00 | 95.00 (somebody, table 1) | short by 3.00 "
        "| last_block 82.00 ± 2.00 | 1.23 M | 2 | 1.5 | a machine |"
    ) in row


def test_what_has_a_published_number_and_no_run_is_listed(tmp_path: Path):
    record(tmp_path, _result("asge-mnist", 0, 0.9))
    _, _, missing = results_page(tmp_path).partition("## Not run yet")
    assert "| `asge-cifar10` | 90.62 (" in missing
    assert "`asge-mnist`" not in missing and "digits" not in missing


def test_each_method_has_a_page_of_its_own_rows(tmp_path: Path):
    other = {**_result("", 0, 0.0)["config"], "algorithm": {"type": "ASGE"}}
    record(tmp_path, _result("local", 0, 0.9))
    record(tmp_path, _result("local", 1, 0.8))
    record(tmp_path, _result("spatial", 0, 0.7, config=other))
    pages = method_pages(tmp_path)
    assert set(pages) == {"DeeperForward", "ASGE"}
    assert [line[:30] for line in pages["DeeperForward"].splitlines()[2:]] == ["| `local` | 85.00 ± 7.07 | 2 |"]
    assert write_results(tmp_path).read_text() == results_page(tmp_path)
    assert (tmp_path / "methods" / "ASGE.md").read_text() == pages["ASGE"]


def _other_budget(**changed) -> dict:
    return {**_result("", 0, 0.0)["config"], **changed}


@pytest.mark.parametrize(
    "changed",
    [{"epochs": 3}, {"batch_size": 16}, {"net": {"type": "TinyCNN", "width": 20}}, {"data": {"name": "mnist"}}],
    ids=lambda changed: next(iter(changed)),
)
def test_a_control_on_another_budget_is_not_shown(tmp_path: Path, changed: dict):
    record(tmp_path, _result("local", 0, 0.9, backprop_recipe="control"))
    for shown, config in ((True, _other_budget()), (False, _other_budget(**changed))):
        record(tmp_path, _result("control", 0, 0.97, config=config))
        row = next(line for line in results_page(tmp_path).splitlines() if line.startswith("| `local`"))
        assert ("97.00" in row) == shown


def test_a_setting_that_is_off_is_one_that_an_older_record_does_not_know(tmp_path: Path):
    newer = {"name": "digits", "size": None, "augmentation": {"crop": 0, "flip": False, "padding": "zeros"}}
    record(tmp_path, _result("local", 0, 0.9, backprop_recipe="control", config=_other_budget(data=newer)))
    record(tmp_path, _result("control", 0, 0.97, config=_other_budget(data={"name": "digits", "augmentation": {}})))
    assert "97.00" in next(line for line in results_page(tmp_path).splitlines() if line.startswith("| `local`"))


def test_seeds_that_were_trained_in_different_ways_are_no_mean(tmp_path: Path):
    record(tmp_path, _result("a", 0, 0.9))
    record(tmp_path, _result("a", 1, 0.8, config=_other_budget(epochs=3)))
    with pytest.raises(ValueError, match=r"seed-1.json was trained with other settings than seed 0 of a: train it"):
        results_page(tmp_path)


def test_costs_of_a_step_are_taken_from_the_benchmark(tmp_path: Path):
    record(tmp_path, _result("a", 0, 0.9))
    assert "weights | memory | step" not in results_page(tmp_path)
    method = _result("a", 0, 0.9)["config"]["algorithm"]["type"]
    costs = {"method": method, "parameters_M": 2.5, "memory_of_backprop": 0.4, "step_of_backprop": 0.7}
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "methods.json").write_text(json.dumps({"rows": [costs]}))
    assert "| 2.50 M | 0.40 | 0.70 |" in results_page(tmp_path)


def test_every_data_set_has_a_table_of_its_own(tmp_path: Path):
    record(tmp_path, _result("a", 0, 0.9))
    record(tmp_path, _result("b", 0, 0.9, data="cifar10", data_note="CIFAR-10, 40k train, batch 5 as test"))
    page = results_page(tmp_path).splitlines()
    ours = page.index("## CIFAR-10, 40k train, batch 5 as test")
    assert page[ours + 4].startswith("| `b`") and page[page.index("## digits") + 4].startswith("| `a`")


@pytest.mark.parametrize(("ours", "met"), [(0.95, "yes"), (0.97, "yes"), (0.94996, "yes"), (0.9498, "short by 0.02")])
def test_a_published_number_is_met_by_the_mean_as_it_was_printed(tmp_path: Path, ours: float, met: str):
    published = {"test_accuracy": 0.95, "source": "somebody"}
    record(tmp_path, _result("a", 0, ours, published=published))
    assert f"| 95.00 (somebody) | {met} |" in results_page(tmp_path)


def test_a_damaged_record_is_named(tmp_path: Path):
    path = record(tmp_path, _result("a", 0, 0.9))
    path.write_text(path.read_text().replace("0.9", "0.99", 1))
    with pytest.raises(ValueError, match=r"seed-0\.json does not match its checksum"):
        results_page(tmp_path)


def test_spread_of_one_value_has_no_deviation():
    assert spread([0.98765]) == "98.77"
    assert spread([0.5, 0.7]) == "60.00 ± 14.14"


def test_the_tables_of_methods_go_between_the_marks_and_nowhere_else(tmp_path: Path):
    record(tmp_path, _result("local", 0, 0.9))
    readme = tmp_path / "README.md"
    readme.write_text("above\n<!-- results -->\nold\n<!-- /results -->\nbelow\n")
    for _ in range(2):
        insert(readme, summary(tmp_path))
        text = readme.read_text()
        assert text.startswith("above\n<!-- results -->\n\n### Methods\n")
        assert text.endswith("|\n\n<!-- /results -->\nbelow\n") and "old" not in text
        assert text.count("90.00 / – / –") == 1 and "`local`" not in text  # rows of recipes stand in RESULTS.md


def test_a_file_without_marks_is_left_alone(tmp_path: Path):
    (tmp_path / "README.md").write_text("nothing here")
    with pytest.raises(ValueError, match="to put the results between"):
        insert(tmp_path / "README.md", "| a |")
    assert (tmp_path / "README.md").read_text() == "nothing here"
