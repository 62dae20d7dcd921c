"""An installed package outside of onward: its method, network, data set and recipes are used like onward's own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from forked_commands import Commands

HERE = Path(__file__).parent
ROW = "centered-stripes"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, built and installed into a folder of its own."""
    pytest.importorskip("setuptools", reason="building the package needs setuptools")
    place = tmp_path_factory.mktemp("outside")
    shutil.copytree(HERE, place / "source", ignore=shutil.ignore_patterns("*.egg-info", "build", "__pycache__"))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--target", place / "site", place / "source"], check=True, capture_output=True)
    return place


class _Outside:
    """The command line where the package is installed, or where it is not, in the folder that holds it."""

    def __init__(self, place: Path, commands: Commands):
        self.place, self.commands, self.site = place, commands, str(place / "site")

    def __call__(self, *words: str, site: bool = True, code: str | None = None) -> subprocess.CompletedProcess:
        with pytest.MonkeyPatch.context() as here:
            here.chdir(self.place)
            return self.commands.start(*words, path=(self.site,) if site else (), code=code).finished()


@pytest.fixture(scope="module")
def onward(installed: Path, commands: Commands) -> _Outside:
    return _Outside(installed, commands)


def _said(done: subprocess.CompletedProcess) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def run(installed: Path, onward: _Outside) -> Path:
    """A finished run of its recipe."""
    said = _said(onward("train", ROW))
    assert f"results/runs/{ROW}/seed-0.json" in said
    return installed / "runs" / ROW / "seed-0"


def test_its_recipe_trains_and_is_recorded(installed: Path, run: Path, onward: _Outside):
    filed = json.loads((installed / "results" / "runs" / ROW / "seed-0.json").read_text())
    assert filed["test_accuracy"] > 0.8
    assert filed["config"]["algorithm"] == {"type": "Centered", "package": "onward-example", "temperature": 0.1}
    assert filed["config"]["net"]["package"] == "onward-example" and filed["data"] == "stripes"


def test_its_model_is_read_back(installed: Path, run: Path, onward: _Outside):
    said = _said(onward("evaluate", str(run)))
    filed = json.loads((run / "result.json").read_text())
    assert f"{100 * filed['test_accuracy']:.2f}" in said


def test_a_stopped_training_goes_on(installed: Path, run: Path, onward: _Outside):
    stopped = installed / "stopped"
    shutil.copytree(run, stopped)
    for name in ("result.json", "model.json", "model.safetensors"):
        (stopped / name).unlink()
    (stopped / "metrics.jsonl").unlink()  # as if stopped before its first checkpoint
    _said(onward("train", "--resume", str(stopped), "--no-record"))
    again, first = (json.loads((path / "result.json").read_text()) for path in (stopped, run))
    assert again["test_accuracy_by_rule"] == first["test_accuracy_by_rule"]


def test_it_stands_beside_backprop(installed: Path, run: Path, onward: _Outside):
    said = _said(onward("compare", ROW, f"backprop-{ROW}", "--steps", "0", "--out", "page"))
    assert "Centered" in said or "centered" in said
    assert (installed / "page.html").is_file()


@pytest.mark.slow  # a launcher and two processes that import torch
def test_it_is_pipelined_over_two_processes(installed: Path, run: Path, onward: _Outside):
    path = os.pathsep.join([str(installed / "site"), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    words = ("train", ROW, "--pipeline", "--no-record", "--runs-dir", "pipelined")
    done = subprocess.run(
        [sys.executable, *launcher, "-m", "onward", *words],
        cwd=installed,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert "test accuracy" in _said(done)
    there, here = (
        json.loads((path / "result.json").read_text()) for path in (installed / "pipelined" / ROW / "seed-0", run)
    )
    assert there["test_accuracy_by_rule"] == here["test_accuracy_by_rule"]


def test_it_is_listed(installed: Path, onward: _Outside):
    said = _said(onward("list", "stripes"))
    assert ROW in said and f"backprop-{ROW}" not in said  # which `--control backprop` trains


def test_without_the_package_its_model_names_it(installed: Path, run: Path, onward: _Outside):
    done = onward("evaluate", str(run), site=False)
    assert done.returncode == 2
    assert "unknown algorithm 'Centered'; it came with 'onward-example': install that package" in done.stderr


def test_it_passes_the_checks_for_every_algorithm(installed: Path, onward: _Outside):
    imports = "from onward.testing import check_algorithm; from onward_example.method import Centered"
    code = f"{imports}; check_algorithm(Centered())"
    done = onward(code=code)
    assert done.returncode == 0, done.stderr


ROWS = '''
from dataclasses import dataclass, replace

import onward
from onward import Recipe, TrainerSettings
from onward.algorithms import MonoForward
from onward.recipes import RECIPES


@onward.register
@dataclass(frozen=True)
class Mine(MonoForward):
    """A method in a file."""


ROW = replace(RECIPES[0], name="mine-digits", algorithm=Mine(), epochs=1, published=None)
'''


def test_rows_of_a_file_are_trained_and_read_back(installed: Path, onward: _Outside):
    (installed / "rows.py").write_text(ROWS)
    _said(onward("train", "rows.py:mine-digits", "--batch-size", "64"))
    run = str(Path("runs") / "mine-digits" / "seed-0")
    done = onward("evaluate", run)
    assert done.returncode == 2 and "unknown algorithm 'Mine'" in done.stderr and "--with" in done.stderr
    assert "last_block" in _said(onward("--with", "rows.py", "evaluate", run))
    done = onward("train", "rows.py:mine-digist")
    assert done.returncode == 2 and "has no recipe 'mine-digist' (did you mean mine-digits" in done.stderr
