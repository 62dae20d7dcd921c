"""What a user types first: it answers at once, and what it lists is what there is."""

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from onward.algorithms import ALGORITHMS
from onward.cli import completion, index, listing, main
from onward.recipes import CONTROLS, RECIPES
from onward.storage.strict_json import json_digest

_HEAVY = ("torch", "datasets", "kornia", "pandas", "numpy", "sklearn")
_LIMIT = 0.5  # seconds of a processor


@pytest.fixture(autouse=True)
def inside_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--version"], 0),
        (["--help"], 0),
        (["list"], 0),
        (["trian"], 2),
        (["completion", "bash"], 0),
        (["completion", "words", "train", "deep"], 0),
    ],
)
def test_the_first_answers_come_at_once(words: list[str], code: int):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = subprocess.run([sys.executable, "-X", "importtime", "-m", "onward", *words], capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert found.returncode == code
    imported = {line.rpartition("|")[2].strip() for line in found.stderr.splitlines() if line.startswith("import time")}
    assert "onward.cli" in imported and imported.isdisjoint(_HEAVY)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < _LIMIT


def test_the_index_is_that_of_the_recipes_and_the_records():
    kept = json.loads(index._FILE.read_text(encoding="utf-8"))
    again = "is not up to date: make index"
    assert {key: kept[key] for key in index.described()} == json.loads(json.dumps(index.described())), again
    assert kept["sources"] == index.sources(), again
    records = Path(__file__).parents[2] / "results"
    if records.is_dir():
        assert index.read_index().records == index.summarized(records, kept["old_names"]), again


def test_where_the_sources_have_changed_the_recipes_are_asked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(index, "sources", lambda: {})
    told = index.described()
    monkeypatch.setattr(index, "described", lambda: {**told, "recipes": told["recipes"][:1]})
    assert [row._asdict() for row in index.read_index().recipes] == told["recipes"][:1]


def _list(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    capsys.readouterr()
    assert main(["list", *words]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_list_names_everything_and_no_line_is_too_long(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = _list(capsys)
    assert max(map(len, lines)) <= columns
    words = {word for line in lines for word in line.split()}
    assert {cls.__name__ for cls in ALGORITHMS} <= words
    assert {recipe.name for recipe in RECIPES} <= words
    assert {"digits", "mnist", "fashion_mnist", "cifar10", "cifar100", "svhn"} <= words
    assert {"imagenette", "tiny_imagenet", "imagenet", *CONTROLS} <= words
    kept = index.read_index().records
    for recipe in RECIPES:
        if recipe.name in kept:
            at = next(k for k, line in enumerate(lines) if recipe.name in line.split())
            numbers = f"{100 * kept[recipe.name].test:.2f} {kept[recipe.name].minutes:,.1f}".split()
            beside = lines[at].split() if lines[at].split()[0] != recipe.name else lines[at - 1].split()
            assert beside[:2] == numbers


def test_list_chooses_by_word_method_and_data(capsys: pytest.CaptureFixture[str]):
    every = _list(capsys, "fashion", "--method", "mono-forward")
    names = {recipe.name for recipe in RECIPES}
    found = {word for line in every for word in line.split() if word in names and not word.startswith("backprop")}
    assert found and all("mono_forward" in name and "fashion" in name for name in found)
    own = index.read_index().records["backprop-mono_forward-fashion_mnist-cpu"]
    assert any(f"; backprop {100 * own.test:.2f}" in line for line in every)
    assert "algorithms" not in every
    assert any("hcl_ff-cifar100" in line for line in _list(capsys, "--data", "CIFAR100", "--method", "HCLFF"))


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_list_says_how_far_a_gradient_reaches(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", str(columns))
    known = index.read_index()._replace(locality={"asge-cifar100": "two layers", "asge-digits": "one layer"})
    monkeypatch.setattr(listing, "read_index", lambda: known)
    lines = _list(capsys, "--method", "asge")
    assert max(map(len, lines)) <= columns
    at = next(k for k, line in enumerate(lines) if "asge-cifar100" in line.split())
    told = " ".join(" ".join(lines[at : at + 2]).split())
    assert ("asge-cifar100 two layers VGG8" if columns == 200 else "asge-cifar100 two layers; VGG8") in told
    assert "algorithms" not in lines and any("asge-cifar100" in line for line in _list(capsys, "two layers"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["deeper_forwrd-digits"], "did you mean deeper_forward-digits"),
        (["--method", "DeperForward"], "did you mean DeeperForward"),
        (["--data", "cifar"], "did you mean cifar10"),
        (["--metod", "x"], "--metod"),
    ],
)
def test_what_is_not_listed_is_one_line(words: list[str], says: str, capsys: pytest.CaptureFixture[str]):
    assert main(["list", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("onward: ") and says in line


def _record(accuracy: float, seconds: float) -> str:
    record = {"test_accuracy": accuracy, "train_seconds": seconds}
    return json.dumps({**record, "sha256": json_digest(record)})


def test_records_of_this_folder_count_before_those_that_came_along(capsys: pytest.CaptureFixture[str]):
    folder = Path("results/runs/deeper_forward-digits")
    folder.mkdir(parents=True)
    for seed, accuracy in enumerate((0.125, 0.375)):
        (folder / f"seed-{seed}.json").write_text(_record(accuracy, 6 * 60))
    for name, text in {"seed-2": "{", "seed-3": "[]", "seed-4": '{"test_accuracy": null, "train_seconds": 1}'}.items():
        (folder / f"{name}.json").write_text(text)
    lines = _list(capsys, "deeper_forward-digits")
    assert next(line for line in lines if "deeper_forward-digits" in line).split()[:2] == ["25.00", "6.0"]


def test_records_under_a_name_of_before_are_those_of_today(capsys: pytest.CaptureFixture[str]):
    folder = Path("results/runs/asge-mnist-fast")
    folder.mkdir(parents=True)
    (folder / "seed-0.json").write_text(_record(0.125, 60))
    lines = _list(capsys, "asge-mnist-cpu")
    assert next(line for line in lines if "asge-mnist-cpu" in line).split()[:2] == ["12.50", "1.0"]


def test_completion_knows_commands_recipes_and_shells():
    assert completion.possible(["re"]) == ["report", "reproduce", "results"]
    assert completion.possible([""])[:3] == ["list", "show", "train"]
    assert completion.possible(["train", "deeper_forward-d"]) == ["deeper_forward-digits"]
    assert completion.possible(["train", "deeper_forward-digits", ""]) == []
    assert "recompute-deeper_forward-digits" in completion.possible(["compare", "deeper_forward-digits", "recompute-"])
    assert completion.possible(["evaluate", ""]) == []  # a run is a folder: the shell's own business
    assert completion.possible(["list", "--data", "cifar"]) == ["cifar10", "cifar100"]
    assert completion.possible(["list", "--method", "Dee"]) == ["DeeperForward"]
    assert completion.possible(["completion", ""]) == ["bash", "zsh", "fish"]
    assert {recipe.name for recipe in RECIPES} == set(completion.possible(["reproduce", ""]))
    assert completion.possible(["train", "asge-mnist", "--control", "de"]) == ["deep_supervision"]
    assert main(["completion", "tcsh"]) == 2


_ZSH = """compdef() { :; }; compadd() { print -l -- ${(P)2}; }; _files() { print files; }
eval "$(onward completion zsh)"
words=(onward train deeper_forward-dig); CURRENT=3; _onward
words=(onward eval); CURRENT=2; _onward
words=(onward predict ""); CURRENT=3; _onward
print $(words=(onward train ""); CURRENT=3; _onward | grep -c .)
"""
_FISH = """onward completion fish | source
complete -C "onward train deeper_forward-dig"
complete -C "onward eval"
complete -C "onward predict "
complete -C "onward train " | grep -vc files
"""
_BASH = """eval "$(onward completion bash)"
COMP_WORDS=(onward train deeper_forward-dig); COMP_CWORD=2; _onward; printf '%s\n' "${COMPREPLY[@]}"
COMP_WORDS=(onward eval); COMP_CWORD=1; _onward; printf '%s\n' "${COMPREPLY[@]}"
COMP_WORDS=(onward predict ""); COMP_CWORD=2; _onward; printf '%s\n' "${COMPREPLY[@]:-files}"
COMP_WORDS=(onward train ""); COMP_CWORD=2; _onward; printf '%s\n' "${#COMPREPLY[@]}"
[ "$(complete -p onward)" = "complete -o default -F _onward onward" ]
"""


@pytest.mark.parametrize(("shell", "script"), [("bash", _BASH), ("zsh", _ZSH), ("fish", _FISH)])
def test_a_shell_completes_with_the_script(shell: str, script: str, tmp_path: Path):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    tool, folder = tmp_path / "bin" / "onward", tmp_path / "folder"
    tool.parent.mkdir()
    folder.mkdir()
    (folder / "files").touch()  # the only one that can be completed
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m onward "$@"\n')
    tool.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tool.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    found = subprocess.run([shell, "-c", script], capture_output=True, text=True, cwd=folder, env=environment)
    assert not found.stderr
    recipes = str(len(RECIPES))
    assert found.stdout.split() == ["deeper_forward-digits", "evaluate", "files", recipes]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_asks_for_words_and_names_the_command(shell: str, capsys: pytest.CaptureFixture[str]):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "onward completion words" in script and script.endswith("\n")
    assert {"bash": "complete -o default -F _onward", "zsh": "compdef _onward", "fish": "complete -c onward"}[
        shell
    ] in script


def _file(results: Path, folder: str, accuracy: float, note: str) -> None:
    path = results / "runs" / folder / "seed-0.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"test_accuracy": accuracy, "train_seconds": 60, "data_note": note}
    path.write_text(json.dumps({**content, "sha256": json_digest(content)}))


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"test_accuracy": 0.9, "train_seconds": 60, "data_note": ""}'])
def test_a_record_that_was_edited_or_damaged_is_not_listed(tmp_path: Path, damage: str):
    for name in ("whole", "edited"):
        _file(tmp_path, name, 0.5, "")
    path = tmp_path / "runs" / "edited" / "seed-0.json"
    path.write_text(damage or path.read_text().replace("0.5", "0.9"))
    assert index.summarized(tmp_path, {}) == {"whole": index.Summary([0.5], 1.0)}


def test_a_control_that_several_rows_share_is_listed_beside_each(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("COLUMNS", "250")
    kept = index.read_index()
    name, other = "asge-fashion_mnist-sum-cpu", "backprop-asge-fashion_mnist-cpu"
    assert kept.shared_controls[name] == other and f"backprop-{name}" not in kept.records
    shown = f"; backprop {100 * kept.records[other].test:.2f}"
    assert any(name in line and line.endswith(shown) for line in _list(capsys, name))


def test_numbers_on_a_copy_of_a_data_set_are_named_as_such_and_give_way_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "250")
    name, results = "hff-cifar10-cpu", Path("results")
    _file(results, f"{name}/a-part", 0.5, "a part of CIFAR-10")
    line = next(line for line in _list(capsys, name) if line.split()[2:3] == [name])
    assert line.split()[:2] == ["50.00", "1.0"] and "numbers on a part of CIFAR-10" in line
    public = index.Summary([0.7], 1.0)
    assert index.with_own({name: public}, index.summarized(results, {}))[name] == public
    _file(results, name, 0.6, "")
    line = next(line for line in _list(capsys, name) if line.split()[2:3] == [name])
    assert line.split()[:2] == ["60.00", "1.0"] and "numbers on" not in line
