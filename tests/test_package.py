"""The package itself: every name that it offers, and nothing imported before it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import onward

_SOURCE = Path(onward.__file__)


def test_every_name_can_be_had_and_is_that_of_its_room():
    for name in onward.__all__:
        assert getattr(onward, name) is getattr(getattr(onward, onward._ROOM_OF[name]), name)
    assert sorted(onward._ROOM_OF) == sorted(onward.__all__)
    assert {*onward.__all__, "runs", "parts"} <= set(dir(onward))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(onward, "nothing")  # noqa: B009 (a type checker would refuse onward.nothing)


def test_a_type_checker_sees_the_same_names():
    tree = ast.parse(_SOURCE.read_text(encoding="utf-8"))
    seen = {
        alias.name: (node.module or "").removeprefix("onward.")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("onward.")
        for alias in node.names
    }
    assert seen == onward._ROOM_OF


def test_importing_the_package_imports_no_torch():
    code = "import sys, onward; assert 'torch' not in sys.modules; onward.Learner; assert 'torch' in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_checks_of_a_method_are_not_passed_where_python_leaves_them_out():
    code = "from onward.testing import check_algorithm; from onward import Backprop; check_algorithm(Backprop())"
    done = subprocess.run([sys.executable, "-O", "-c", code], capture_output=True, text=True)
    assert "python -O leaves out all checks" in done.stderr and done.returncode == 1
