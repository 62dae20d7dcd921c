"""The records of the project as evidence: what each says of itself can be checked without a training."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

_RESULTS = Path(__file__).parents[2] / "results"
_NOT_IN_HISTORY = {"3d853dffdc"}
"""Beginnings of commits that `docs/results.md` names, with what is known of them."""


@pytest.fixture(scope="module")
def records() -> dict[str, dict[str, Any]]:
    """The records by path."""
    if not (_RESULTS / "runs").is_dir():
        pytest.skip("no checkout")
    paths = sorted((_RESULTS / "runs").rglob("seed-*.json"))
    return {path.relative_to(_RESULTS).as_posix(): json.loads(path.read_text()) for path in paths}


def test_every_file_among_the_records_is_one(records: dict[str, dict[str, Any]]):
    files = {path.relative_to(_RESULTS).as_posix() for path in (_RESULTS / "runs").rglob("*") if path.is_file()}
    assert files == records.keys()


def test_an_accuracy_is_a_whole_number_of_images(records: dict[str, dict[str, Any]]):
    for path, each in records.items():
        test = [each["test_accuracy"], *each["test_accuracy_by_rule"].values(), *each.get("test_accuracy_by_block", ())]
        counted = [(value, each["n_test"]) for value in test] + [(each["validation_accuracy"], each["n_validation"])]
        for value, images in counted:
            assert value * images == pytest.approx(round(value * images), abs=1e-3), f"{path}: {value} of {images}"
        assert each["test_accuracy"] in each["test_accuracy_by_rule"].values(), path


def test_no_training_is_on_record_twice(records: dict[str, dict[str, Any]]):
    for key in (lambda each: each["train_seconds"], lambda each: each["seals"]["model"] if "seals" in each else None):
        values = [value for each in records.values() if (value := key(each)) is not None]
        assert len(values) == len(set(values))


def test_the_images_of_a_set_have_one_checksum(records: dict[str, dict[str, Any]]):
    kinds = {(each["data"], each["data_note"], each["n_train"] + each["n_validation"]) for each in records.values()}
    checksums = {(each["data"], each["data_note"], each["data_checksum"]) for each in records.values()}
    assert len(kinds) == len(checksums) == len({each["data_checksum"] for each in records.values()})


def test_every_commit_is_in_the_history_or_named_on_the_page(records: dict[str, dict[str, Any]]):
    if subprocess.run(["git", "rev-parse", "--is-shallow-repository"], cwd=_RESULTS, capture_output=True).stdout != (
        b"false\n"
    ):
        pytest.skip("no history")
    history = subprocess.run(["git", "rev-list", "HEAD"], cwd=_RESULTS, capture_output=True, text=True, check=True)
    known, page = {*history.stdout.split()}, (_RESULTS.parent / "docs" / "results.md").read_text(encoding="utf-8")
    others = {path: each["commit"][:10] for path, each in records.items() if each["commit"] not in known}
    assert {*others.values()} == _NOT_IN_HISTORY, others
    assert all(commit in page for commit in _NOT_IN_HISTORY)
    assert all(f"`{Path(path).parts[1]}`" in page for path in others)
