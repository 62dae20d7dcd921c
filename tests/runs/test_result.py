"""Results of runs as objects: every file that there is comes back byte for byte, and dicts of before still work."""

from dataclasses import replace
from pathlib import Path

import pytest

from onward.recipes import Recipe
from onward.runs import RunOptions, RunResult, train
from onward.runs.result import Placement, RunEnvironment, Seals, read_result, result_of
from onward.storage.files import json_digest, read_json, write_json
from onward.storage.typed import from_json, to_json
from toy_trainings import toy_environment, toy_result

RECORDS = sorted((Path(__file__).parents[2] / "results" / "runs").rglob("seed-*.json"))


def test_every_record_of_the_project_is_written_as_it_was_read(tmp_path: Path):
    assert len(RECORDS) > 150
    orders = set()
    for path in RECORDS:
        result = read_result(path)
        write_json(tmp_path / "again.json", result.to_json())
        assert (tmp_path / "again.json").read_bytes() == path.read_bytes(), path
        assert not result.others, path
        orders.add(next(iter(result.to_json())))
    assert orders == {"recipe", "versions"}  # of versions before and since November 2026


def test_a_new_result_is_read_as_it_was_written(toy_recipe: Recipe, place: RunOptions):
    folder, result = train(replace(toy_recipe, epochs=1), place)
    path = folder.path / "result.json"
    assert read_result(path) == result
    assert list(read_json(path)) == list(result.to_json())
    unsealed = {name: value for name, value in read_json(path).items() if name != "seals"}
    assert read_json(folder.path / "model.json")["result_sha256"] == json_digest(unsealed)
    assert result.published is None and "published" in unsealed and "init" not in unsealed


def test_keys_keep_their_order_and_what_is_unknown_null_or_absent_stays_so(toy_recipe: Recipe):
    content = {"later": {"a": [1]}, "backprop_recipe": None, "order": 3, **toy_result(toy_recipe).to_json()}
    for absent in ("published", "commit"):
        del content[absent]
    found = result_of(content, "here")
    assert found.to_json() == content and list(found.to_json()) == list(content)
    assert found.others == {"later": {"a": [1]}, "order": 3}


def test_what_is_added_to_a_result_comes_after_the_keys_of_its_file(toy_recipe: Recipe):
    content = dict(reversed(toy_result(toy_recipe).to_json().items()))
    tied = replace(result_of(content, "here"), seals=Seals("a", "b", "c"))
    assert list(tied.to_json()) == [*content, "seals"]
    assert result_of(tied.to_json(), "here") == tied


def test_how_a_run_was_spread_is_read_from_older_files_as_well():
    older = {"stages": [2, 3], "replicas": 1, "messages": "bf16", "balance": "measured", "session": "a"}
    begun = {**to_json(toy_environment()), "pipeline": older}
    found = from_json(begun, RunEnvironment, "here")
    assert found.pipeline == Placement(stages=(2, 3), replicas=1, messages="bf16", balance="measured", session="a")
    assert to_json(found) == begun


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"test_accuracy": "high"}, "test_accuracy in here must be a number, got 'high'"),
        ({"n_test": 1.5}, "n_test in here must be a whole number or null, got 1.5"),
        ({"seals": {}}, "seals in here has no config"),
    ],
)
def test_a_field_of_another_type_is_named(change: dict, says: str, toy_recipe: Recipe):
    with pytest.raises(ValueError, match=says):
        result_of(toy_result(toy_recipe).to_json() | change, "here")


def test_results_are_dicts_still_with_a_warning_that_names_the_attribute(toy_recipe: Recipe):
    found: RunResult = toy_result(toy_recipe)
    with pytest.warns(DeprecationWarning, match=r"use result\.test_accuracy"):
        assert found["test_accuracy"] == 0.9
    with pytest.warns(DeprecationWarning, match=r"use result\.seals"):
        assert found.get("seals") is None and found.get("seals", 3) == 3
    with pytest.warns(DeprecationWarning, match=r"use result\.to_json\(\)"):
        assert "init" not in found and "seed" in found
    with pytest.warns(DeprecationWarning):
        assert dict(found) == found.to_json()
    with pytest.warns(DeprecationWarning), pytest.raises(KeyError):
        found["init"]
