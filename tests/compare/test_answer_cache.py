"""What is kept with a run: asked once, found again, and damage that is said."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

from onward.compare.answer_cache import AnswerCache
from onward.storage.locks import appended_here


def test_an_answer_is_found_again_by_its_question(tmp_path: Path):
    kept = AnswerCache(tmp_path / "a.jsonl")
    assert kept.get({"chip": 0}) is None
    kept.add({"chip": 0, "noise": ["a"]}, {"accuracy": 0.5})
    kept.add({"chip": 1, "noise": ["a"]}, {"accuracy": 0.25})
    again = AnswerCache(tmp_path / "a.jsonl")
    assert again.get({"noise": ["a"], "chip": 0}) == {"accuracy": 0.5}
    assert again.get({"noise": ["b"], "chip": 0}) is None
    assert [found["accuracy"] for _, found in again] == [0.5, 0.25]


def test_a_line_that_was_cut_off_is_written_anew(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    AnswerCache(path).add({"chip": 0}, {"accuracy": 0.5})
    with path.open("a") as file:
        file.write('{"asked": {"chip": 1}, "fou')
    kept = AnswerCache(path)
    assert kept.get({"chip": 1}) is None
    kept.add({"chip": 1}, {"accuracy": 0.25})
    assert len(path.read_text().splitlines()) == 2
    assert [found["accuracy"] for _, found in AnswerCache(path)] == [0.5, 0.25]


def test_two_that_share_a_file_lose_nothing(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    one, other = AnswerCache(path), AnswerCache(path)
    for chip in range(3):
        one.add({"chip": chip}, {"accuracy": 0.5})
        other.add({"chip": 10 + chip}, {"accuracy": 0.25})
    assert [asked["chip"] for asked, _ in AnswerCache(path)] == [0, 10, 1, 11, 2, 12]


def test_a_line_is_not_written_into_that_of_another_process(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    held = appended_here(path)
    file = held.__enter__()
    file.write(b'{"asked": {"chip": 0}, "fou')
    file.flush()
    code = "import sys; from pathlib import Path; from onward.compare.answer_cache import AnswerCache; "
    code += "print(flush=True); AnswerCache(Path(sys.argv[1])).add({'chip': 1}, {'accuracy': 0.25})"
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)
    file.write(b'nd": {"accuracy": 0.5}}\n')
    held.__exit__(None, None, None)
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert [json.loads(line)["asked"]["chip"] for line in path.read_text().splitlines()] == [0, 1]


@pytest.mark.parametrize("line", ["nonsense", "[1]", '{"asked": {}}'])
def test_damage_is_refused(tmp_path: Path, line: str):
    path = tmp_path / "a.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(ValueError, match=r"^line 1 of .*a\.jsonl .*; delete that file to evaluate again"):
        AnswerCache(path)


def test_an_edited_line_is_named(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    kept = AnswerCache(path, weights="w")
    for chip in range(3):
        kept.add({"chip": chip}, {"accuracy": 0.5})
    path.write_text(
        path.read_text().replace('"chip": 1}, "found": {"accuracy": 0.5', '"chip": 1}, "found": {"accuracy": 0.9')
    )
    with pytest.raises(ValueError, match=r"line 2 of .*a\.jsonl was edited or damaged; delete that file"):
        AnswerCache(path, weights="w")


def test_a_line_about_other_weights_is_named(tmp_path: Path):
    AnswerCache(tmp_path / "a.jsonl", weights="others").add({}, {})
    with pytest.raises(ValueError, match=r"line 1 of .*a\.jsonl is about the weights of another run"):
        AnswerCache(tmp_path / "a.jsonl", weights="ours")


def test_lines_from_before_there_were_digests_are_read_for_a_run_of_that_time(tmp_path: Path):
    (tmp_path / "a.jsonl").write_text('{"asked": {}, "found": {"level": Infinity}}\n')
    assert AnswerCache(tmp_path / "a.jsonl").get({}) == {"level": float("inf")}
    with pytest.raises(ValueError, match=r"line 1 of .*a\.jsonl was edited or damaged"):
        AnswerCache(tmp_path / "a.jsonl", weights="ours")


def test_what_cannot_be_written_is_said_once_and_known_all_the_same(tmp_path: Path, capsys, monkeypatch):
    def read_only(path: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("onward.storage.locks.open_to_append", read_only)
    kept = AnswerCache(tmp_path / "a.jsonl")
    for chip in range(3):
        kept.add({"chip": chip}, {"accuracy": 0.5})
    assert kept.get({"chip": 2}) == {"accuracy": 0.5}
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and "a.jsonl cannot be written (Read-only file system)" in said[0]
