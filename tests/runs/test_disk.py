"""Files beside others': no pipe is waited for, no link is written through, the umask holds, strays are removed."""

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from onward.compare.answer_cache import AnswerCache
from onward.recipes import RECIPES
from onward.results.pages import insert, write_results
from onward.runs import checkpoints
from onward.runs.folder import RunFolder
from onward.runs.records import record
from onward.storage.disk import open_to_append, read_plain, sweep, write_text
from onward.storage.files import read_header, read_json, read_tensors, write_json, write_tensors
from onward.storage.locks import trained_here
from toy_trainings import metrics_row, toy_environment, toy_result

_posix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")


def _lock(path: Path) -> None:
    with trained_here(path.parent):
        pass


@_posix
@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("x.json", read_json),
        ("x.safetensors", read_tensors),
        ("x.safetensors", read_header),
        ("evaluations.jsonl", AnswerCache),
        ("metrics.jsonl", lambda path: RunFolder(path.parent).metrics()),
        ("result.json", lambda path: RunFolder(path.parent).result()),
        ("config.json", _lock),
        ("metrics.jsonl", lambda path: RunFolder(path.parent).append_metrics(metrics_row(0))),
    ],
)
def test_a_named_pipe_is_refused_and_not_waited_for(name: str, read: Callable, tmp_path: Path):
    os.mkfifo(tmp_path / name)
    with pytest.raises(ValueError, match=f"{name} is a named pipe, not a plain file"):
        read(tmp_path / name)


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path):
    (tmp_path / "x.json").mkdir()
    with pytest.raises(ValueError, match=r"x\.json is a folder"):
        read_json(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("x.json", lambda path: write_json(path, {"a": 1})),
        ("x.safetensors", lambda path: write_tensors(path, {"a": torch.zeros(1)}, {})),
        ("page.html", lambda path: write_text(path, "a")),
        ("RESULTS.md", lambda path: write_results(path.parent)),
    ],
)
def test_a_file_is_written_beside_what_a_link_leads_to(name: str, write: Callable, tmp_path: Path):
    (tmp_path / "victim").write_text("kept")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).symlink_to(tmp_path / "victim")
    write(tmp_path / "run" / name)
    assert (tmp_path / "victim").read_text() == "kept"
    assert not (tmp_path / "run" / name).is_symlink()


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("evaluations.jsonl", lambda path: AnswerCache(path).add({"a": 1}, {})),
        ("metrics.jsonl", lambda path: RunFolder(path.parent).append_metrics(metrics_row(0))),
        ("README.md", lambda path: insert(path, "a table")),
    ],
)
@pytest.mark.parametrize("there", [True, False])
def test_nothing_is_added_through_a_link(name: str, write: Callable, there: bool, tmp_path: Path):
    if there:
        (tmp_path / "victim").write_text("")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).symlink_to(tmp_path / "victim")
    with pytest.raises(ValueError, match=f"{name} is a link"):
        write(tmp_path / "run" / name)
    assert (tmp_path / "victim").exists() == there and (not there or not (tmp_path / "victim").read_text())


@pytest.mark.parametrize(
    ("link", "write"),
    [
        ("checkpoint", lambda run: checkpoints.save_part(run, checkpoints.Spot(0, 1), "rest", {}, {})),
        ("methods", write_results),
        ("runs", lambda folder: record(folder, toy_result(RECIPES[0]))),
    ],
)
def test_nothing_is_written_into_or_removed_from_a_folder_behind_a_link(link: str, write: Callable, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "notes.md").write_text("kept")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / link).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=f"{link} is a link"):
        write(tmp_path / "run")
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["notes.md"]


def test_a_file_with_another_name_elsewhere_is_added_to_in_this_place_alone(tmp_path: Path):
    (tmp_path / "backup").write_text("first\n")
    os.link(tmp_path / "backup", tmp_path / "here")
    with open_to_append(tmp_path / "here") as file:
        file.write(b"second\n")
    assert (tmp_path / "backup").read_text() == "first\n"
    assert read_plain(tmp_path / "here") == b"first\nsecond\n"


@_posix
@pytest.mark.parametrize(("umask", "file_mode", "folder_mode"), [(0o077, 0o600, 0o700), (0o022, 0o644, 0o755)])
def test_the_umask_holds_for_every_file_and_folder(
    umask: int, file_mode: int, folder_mode: int, toy_recipe, tmp_path: Path
):
    before = os.umask(umask)
    try:
        run = RunFolder.create(tmp_path / "runs", toy_recipe, toy_environment())
        run.append_metrics(metrics_row(0))
        run.keep_metrics(1, resumed=True)
        run.save_checkpoint({"a": torch.zeros(1)}, {})
        checkpoints.save_part(run.path, checkpoints.Spot(0, 1), "rest", {}, {})
        AnswerCache(run.path / "evaluations.jsonl").add({}, {})
        record(tmp_path / "results", toy_result(toy_recipe))
        write_text(tmp_path / "results" / "page.html", "a")
    finally:
        os.umask(before)
    made = [path for top in ("runs", "results") for path in (tmp_path / top, *(tmp_path / top).rglob("*"))]
    modes = {str(path): path.stat().st_mode & 0o777 for path in made}
    assert modes == {str(path): folder_mode if path.is_dir() else file_mode for path in made}
    assert sum(path.is_file() for path in made) == 8


def test_what_killed_writes_left_is_removed_and_nothing_else(tmp_path: Path):
    strays = [".checkpoint.safetensors.1a2b3c4d", ".tmpAb3dEf", "metrics.tmp", ".model.json.abcd_123"]
    others = ["config.json", ".notes", ".tmp", "metrics.jsonl", ".gitignore", "a.json.12345678"]
    for name in (*strays, *others):
        (tmp_path / name).write_text("")
    (tmp_path / ".tmpFolder").mkdir()
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*others, ".tmpFolder"])


def test_runs_that_cannot_be_made_name_the_flag(toy_recipe, tmp_path: Path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(OSError, match=r"no run folder can be made in .*runs/toy: .*; name another --runs-dir"):
        RunFolder.create(tmp_path / "runs", toy_recipe, toy_environment())


@pytest.mark.parametrize("more", [{"recipe": "../../evil"}, {"seed": 1}])
def test_a_record_lies_where_its_settings_say(more: dict, toy_recipe, tmp_path: Path):
    with pytest.raises(ValueError, match="put together or edited"):
        record(tmp_path / "results", replace(toy_result(toy_recipe), **more))
    with pytest.raises(ValueError, match="put together or edited"):
        record(tmp_path / "results", toy_result(replace(toy_recipe, name="../evil")))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["results", "results/runs", "results/methods"])
def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path, place: str):
    folder, file = tmp_path / "results", tmp_path / place
    if place == "results/methods":
        record(folder, toy_result(RECIPES[0], 0.5))
    file.parent.mkdir(exist_ok=True)
    file.touch()
    with pytest.raises(ValueError, match=re.escape(f"{file} is a file, and a folder has to be there: move or remove")):
        write_results(folder) if place == "results/methods" else record(folder, toy_result(RECIPES[0], 0.5))
