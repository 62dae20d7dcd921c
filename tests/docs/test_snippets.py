"""What README, CONTRIBUTING and docs show works as it stands: their Python and shell blocks are run here.

The blocks of a page run one after the other in one empty folder, in which stand what they name: runs, images, records.
So that this takes seconds, three things differ from what a reader does. `load_digits` gives 300 images. `fit` trains
one epoch, and a chip learns from 100 images. A command that would train, measure or reach other machines is carried out
up to there: its words are read, its recipe found and its settings checked. `pytest -m slow tests/docs` runs all Python
as written.
"""

import shutil
import sys
from collections.abc import Callable, Iterator
from glob import glob
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import sklearn.datasets
import torch
from fences import PAGES, ROOT, Fence, commands, fences, read
from PIL import Image

import onward
from onward.cli import main
from onward.compare import recovery
from onward.recipes import RECIPES
from onward.runs.model import save_model, spec_for

_LANGUAGES = ("python", "sh", "text")
_PYTHON = [page for page in PAGES if fences(page, "python")]
_SHELL = [page for page in PAGES if fences(page, "sh")]
_DEFAULT = "runs/deeper_forward-digits/seed-0"
_UNTRAINED = ("hcl_ff-digits", "ffgaf_snn-digits", "early_exits-digits-deeper_forward")
_STOPS = {
    "onward.cli.train": ("train", "resume", "train_pipelined", "images_of"),
    "onward.cli.measure": ("measure", "memory_curve"),
    "onward.cli.simulate": ("shapes_like",),
    "onward.cli.compare": ("compare", "describe"),
    "onward.cli.reproduce": ("_recorded",),
    "onward.cli.queue": ("readable_records", "load"),
}
"""Where a command stops: the functions, as their command knows them, that begin what takes long."""


class _Begun(Exception):
    """A command has come to what takes long."""


def _named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a short run of the default recipe, and models of further recipes, untrained."""
    folder = tmp_path_factory.mktemp("finished")
    short = ["--epochs", "1", "--net.width", "10", "--device", "cpu", "--no-record"]
    assert main(["train", *short, "--runs-dir", str(folder / "runs")]) == 0
    recipes = {recipe.name: recipe for recipe in RECIPES}
    data = onward.load_data("digits")
    for name in _UNTRAINED:
        spec = spec_for(recipes[name].algorithm, recipes[name].net, data)
        place = folder / "runs" / name / "seed-0"
        place.mkdir(parents=True)
        save_model(place, spec.build(), spec)
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: what the pages name, by the names that they use."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ONWARD_DATA", raising=False)
    for place in (_DEFAULT, "RUN"):
        shutil.copytree(finished / _DEFAULT, tmp_path / place)
    shutil.copy(ROOT / "constraints.txt", tmp_path)
    shutil.copytree(ROOT / "results" / "runs" / "backprop-digits", tmp_path / "results" / "runs" / "backprop-digits")
    for plan in ("queue.txt", "queue-gpu.txt"):
        shutil.copy(ROOT / "results" / plan, tmp_path / "results")
    draw = np.random.default_rng(0)
    names = ("IMAGE.png", "a.png", "b.png", *[f"DIR/{name}/{k}.png" for name in ("one", "two") for k in range(6)])
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (8, 8), dtype=np.uint8)).save(name)
    return tmp_path


@pytest.fixture
def models(finished: Path, folder: Path) -> None:
    """The models that are no finished runs."""
    for name in _UNTRAINED:
        shutil.copytree(finished / "runs" / name, folder / "runs" / name)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer digits, one epoch."""
    digits: Any = sklearn.datasets.load_digits()
    fit = onward.fit
    few = {**digits, "images": digits.images[:300], "target": digits.target[:300]}
    monkeypatch.setattr(sklearn.datasets, "load_digits", lambda: sklearn.utils.Bunch(**few))
    stream = recovery.ChipTraining
    monkeypatch.setattr("onward.compare.ChipTraining", lambda images, **more: stream(min(images, 100), **more))
    monkeypatch.setattr("onward.runs.loading.check_data", lambda *_: None)  # the run saw all digits
    monkeypatch.setattr(onward, "fit", lambda *given, epochs, **more: fit(*given, epochs=min(epochs, 1), **more))


@pytest.fixture
def stops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands stop where they would begin what takes long."""

    def begin(*_: Any, **__: Any) -> Any:
        raise _Begun

    for module, names in _STOPS.items():
        for name in names:
            monkeypatch.setattr(import_module(module), name, begin)
    monkeypatch.setattr(import_module("onward.cli.queue"), "choose_device", lambda _: torch.device("cpu"))


@pytest.fixture
def local_heads() -> Iterator[Callable[[dict[str, Any]], None]]:
    """Make what CONTRIBUTING defines importable from where it says the file belongs."""
    name = "onward.algorithms.local_heads"

    def install(names: dict[str, Any]) -> None:
        if "LocalHeads" in names and name not in sys.modules:
            sys.modules[name] = ModuleType(name)
            vars(sys.modules[name]).update(names)

    yield install
    sys.modules.pop(name, None)


def test_every_block_says_what_it_is():
    wrong = [
        f"{fence}: {fence.language!r}" for page in PAGES for fence in fences(page) if fence.language not in _LANGUAGES
    ]
    assert not wrong, f"the language of a block must be one of {', '.join(_LANGUAGES)}"
    assert len(_PYTHON) > 8 and len(_SHELL) > 8


def test_every_python_block_is_python():
    found = [compile(fence.text, str(fence), "exec") for page in _PYTHON for fence in fences(page, "python")]
    assert all(code.co_code for code in found) and len(found) > 20


def _run_python(page: Path, install: Callable[[dict[str, Any]], None]) -> int:
    """Run the blocks of a page one after the other; return how many there were."""
    names: dict[str, Any] = {"__name__": "a_page"}
    ran = 0
    for fence in fences(page, "python"):
        if fence.fragment:
            continue
        try:
            exec(compile(fence.text, str(fence), "exec"), names)
        except Exception as error:
            raise AssertionError(f"{fence} fails as written: {type(error).__name__}: {error}") from error
        install(names)
        ran += 1
    return ran


@pytest.mark.usefixtures("models", "short")
@pytest.mark.parametrize("page", _PYTHON, ids=_named)
def test_python_runs(page: Path, local_heads: Callable[[dict[str, Any]], None]):
    assert _run_python(page, local_heads) > 0


@pytest.mark.slow
@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("page", _PYTHON, ids=_named)
def test_python_runs_as_written(page: Path, local_heads: Callable[[dict[str, Any]], None]):
    assert _run_python(page, local_heads) > 0


def _run_shell(fence: Fence, words: list[str]) -> None:
    """Carry out a command of a page."""
    if words[0] == "torchrun":
        words = words[words.index("-m") + 1 :]
    match words:
        case ["onward", *rest]:
            given = [{"RECIPE": "deeper_forward-digits", "SHELL": "bash"}.get(word, word) for word in rest]
            given = [name for word in given for name in (sorted(glob(word)) if "*" in word else [word])]
            try:
                code = main(given)
            except _Begun:
                return
            assert code == 0, f"{fence}: {' '.join(words)} ended with {code}"
        case ["make", verb, *settings]:
            makefile = (ROOT / "Makefile").read_text()
            assert f"\n{verb}:" in makefile, f"{fence}: the Makefile has no {verb}"
            for name, _, _ in (setting.partition("=") for setting in settings):
                assert f"$({name})" in makefile or f"$(if $({name})" in makefile, f"{fence}: the Makefile has no {name}"
        case ["pip", "install", *options, "."]:
            assert options in ([], ["-c", "constraints.txt"]) and Path("constraints.txt").exists()
        case ["python", script, *_]:
            assert (ROOT / script).is_file(), f"{fence}: {script} does not exist"
        case _:
            raise AssertionError(f"{fence}: nobody knows how to check {' '.join(words)}; mark it as a fragment")


@pytest.mark.usefixtures("folder", "stops")
@pytest.mark.parametrize("page", _SHELL, ids=_named)
def test_shell_runs(page: Path):
    shown = [(f, words) for f in fences(page, "sh") if not f.fragment for words in commands(f.text)]
    for fence, words in shown:
        _run_shell(fence, words)
    assert shown or all(fence.fragment for fence in fences(page, "sh"))


def test_a_block_that_fails_is_named(tmp_path: Path, stops: None):
    page = tmp_path / "page.md"
    broken, unknown, marked = read(
        page,
        "```sh\nonward train no_such_recipe \\\n    --epochs 1  # a remark\n```\n\n```sh\ncurl x\n```\n"
        "<!-- fragment: it needs a network -->\n```sh\ncurl x\n```\n",
    )
    assert [broken.line, unknown.line, marked.line] == [2, 7, 11]
    assert [fence.fragment for fence in (broken, unknown, marked)] == [False, False, True]
    assert commands(broken.text) == [["onward", "train", "no_such_recipe", "--epochs", "1"]]
    moved = broken._replace(page=ROOT / "page.md")
    with pytest.raises(AssertionError, match=r"page\.md:2: .* ended with 2"):
        _run_shell(moved, commands(broken.text)[0])
    with pytest.raises(AssertionError, match="nobody knows how to check curl x"):
        _run_shell(moved, commands(unknown.text)[0])
