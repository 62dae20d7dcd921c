"""What is kept with a run: asked once, found again, and damage that is said."""

from pathlib import Path

import pytest

from onward.runs.kept import Kept


def test_an_answer_is_found_again_by_its_question(tmp_path: Path):
    kept = Kept(tmp_path / "a.jsonl")
    assert kept.answer({"chip": 0}) is None
    kept.keep({"chip": 0, "noise": ["a"]}, {"accuracy": 0.5})
    kept.keep({"chip": 1, "noise": ["a"]}, {"accuracy": 0.25})
    again = Kept(tmp_path / "a.jsonl")
    assert again.answer({"noise": ["a"], "chip": 0}) == {"accuracy": 0.5}
    assert again.answer({"noise": ["b"], "chip": 0}) is None
    assert [found["accuracy"] for _, found in again] == [0.5, 0.25]


def test_a_line_that_was_cut_off_is_written_anew(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    Kept(path).keep({"chip": 0}, {"accuracy": 0.5})
    with path.open("a") as file:
        file.write('{"asked": {"chip": 1}, "fou')
    kept = Kept(path)
    assert kept.answer({"chip": 1}) is None
    kept.keep({"chip": 1}, {"accuracy": 0.25})
    assert len(path.read_text().splitlines()) == 2
    assert [found["accuracy"] for _, found in Kept(path)] == [0.5, 0.25]


@pytest.mark.parametrize("line", ["nonsense", "[1]", '{"asked": {}}'])
def test_damage_is_said(tmp_path: Path, line: str):
    path = tmp_path / "a.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(ValueError, match=r"a\.jsonl holds a damaged line; delete that file"):
        Kept(path)
