"""What comparisons and measured steps found, as files hold it: every one on record is read, and written as it was."""

import json
from pathlib import Path

import pytest

from onward.compare.comparison import Comparison
from onward.costs.step import MeasuredSteps
from onward.storage.files import read_json
from onward.storage.typed import from_json, to_json

_RECORDED = sorted((Path(__file__).parents[2] / "results" / "comparisons").glob("*.json"))


@pytest.mark.parametrize("path", _RECORDED, ids=lambda path: path.stem)
def test_a_file_on_record_is_written_as_it_was(path: Path):
    content = read_json(path)
    found = from_json(content, MeasuredSteps if "contenders" in content else Comparison, str(path))
    assert json.dumps(to_json(found)) == json.dumps(content)


def test_there_are_old_ones_and_newer_ones():
    contents = [read_json(path) for path in _RECORDED]
    methods = [method for content in contents for method in content.get("methods", [])]
    assert {"contenders" in content for content in contents} == {True, False}
    assert {"locality" in method for method in methods} | {"test_images" in method for method in methods} == {False}


def test_the_training_of_a_method_is_read_epoch_by_epoch():
    (path,) = (path for path in _RECORDED if path.stem == "cifar10-fast")
    found = from_json(read_json(path), Comparison, str(path))
    for method in found.methods:
        assert [len(history) for history in method.histories] == [method.epochs] * len(method.seeds)
