"""The package itself: every name that it offers, once; old names that warn; nothing imported before it is needed."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import onward

ROOT = Path(__file__).parent.parent
PACKAGE: Any = onward  # type checkers know what __init__.pyi names


def test_every_name_can_be_had_and_is_that_of_its_room():
    for name, module in PACKAGE._MODULES.items():
        value = getattr(onward, name)
        if module and name not in ("compare", "results"):
            assert value is getattr(sys.modules[f"onward.{module}"], name)
        else:
            assert value is sys.modules[f"onward.{name}"]
    assert {*PACKAGE.__all__, *PACKAGE._MODULES} <= set(dir(onward))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(onward, "nothing")  # noqa: B009 (a type checker would refuse onward.nothing)


@pytest.mark.parametrize("name", ["compare", "results"])
def test_a_room_that_is_called_stays_a_room(name: str):
    with pytest.raises(ValueError, match=r"no run named|does not exist: name a folder"):
        getattr(onward, name)(*(["nowhere"] if name == "results" else []))
    module = sys.modules[f"onward.{name}"]
    assert getattr(onward, name) is module and callable(getattr(module, name))


@pytest.mark.parametrize("name", sorted(PACKAGE._ROOM_OF_FORMER))
def test_a_former_name_works_and_says_what_to_use(name: str):
    assert name not in PACKAGE.__all__
    with pytest.warns(DeprecationWarning, match=rf"onward\.{name} will be removed in version 0\.2: use "):
        value = getattr(onward, name)
    assert value is getattr(sys.modules[f"onward.{PACKAGE._ROOM_OF_FORMER[name]}"], name)


def test_importing_the_package_imports_nothing_heavy():
    heavy = ("torch", "numpy", "tyro", "rich", "pandas", "onward.recipes", "onward.core")
    code = f"import sys, onward; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_a_former_name_is_warned_of_where_it_is_used_and_fitting_imports_no_pandas():
    code = "import sys, onward\nonward.fit, onward.nets\nfrom onward import MLP\nprint('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "always", "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n" and "<string>:3: DeprecationWarning: onward.MLP will be removed" in done.stderr


def test_fitting_imports_neither_the_command_line_nor_the_recipes():
    code = """
import sys, torch, onward
net = onward.nets.MLP(width=8, depth=1)
onward.fit(onward.algorithms.MonoForward(), net, (torch.rand(60, 4), torch.arange(60) % 3), epochs=1)
heavy = ("tyro", "rich", "pandas", "onward.cli", "onward.recipes.rows", "onward.recipes.methods")
print([name for name in heavy if name in sys.modules])
"""
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


@pytest.mark.parametrize(("tag", "code"), [(f"v{onward.__version__}", 0), (onward.__version__, 1), ("v", 1)])
def test_a_release_is_made_from_the_tag_of_the_version_alone(tag: str, code: int):
    workflow = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    (check,) = re.findall(r"run: (test .*)", workflow)
    assert subprocess.run(["bash", "-c", check], cwd=ROOT, env={**os.environ, "TAG": tag}).returncode == code


def test_the_version_is_written_once_and_is_the_one_that_is_cited():
    project = (ROOT / "pyproject.toml").read_text()
    assert 'dynamic = ["version"]\n' in project and '[tool.hatch.version]\npath = "src/onward/__init__.py"\n' in project
    assert not re.search(r"^version =", project, re.MULTILINE)
    assert f"\nversion: {onward.__version__}\n" in (ROOT / "CITATION.cff").read_text()


def test_type_checkers_are_given_the_names():
    assert (ROOT / "src" / "onward" / "py.typed").is_file()
    assert set(PACKAGE._MODULES) >= {"fit", "load", "algorithms", "Learner"}


def test_checks_of_a_method_are_not_passed_where_python_leaves_them_out():
    code = "import onward; onward.testing.check_algorithm(onward.algorithms.Backprop())"
    done = subprocess.run([sys.executable, "-O", "-c", code], capture_output=True, text=True)
    assert "python -O leaves out all checks" in done.stderr and done.returncode == 1
