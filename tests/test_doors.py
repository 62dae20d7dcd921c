"""The house rules: which room may import which, what never appears, and how long a file may be (see DESIGN.md)."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "onward"
FILES = sorted(SOURCE.rglob("*.py"))

# What a room may import. Every arrow points down in this picture; what stands beside each other knows nothing of it.
#
#                          cli    api    sklearn
#               compare    pipeline    export    testing    modules
#          results      costs
#                   plots
#                   runs
#                  recipes
#         training      algorithms
#    data  measure  parts  nets  hardware
#           core              storage
#       registry                screen
_GROUND = {"core", "storage", "registry", "screen"}
_FIRST = {*_GROUND, "data", "measure", "parts", "nets", "hardware"}
_SECOND = {*_FIRST, "training", "algorithms"}
_RUNS = {*_SECOND, "recipes", "runs"}
_PLOTS = {*_RUNS, "plots"}
_ALL = {*_PLOTS, "results", "costs", "compare", "pipeline", "export", "modules"}
DOORS = {
    "registry": set(),
    "screen": set(),
    "core": set(),
    "storage": {"screen"},
    "parts": {"core"},
    "nets": {"core", "registry"},
    "hardware": {"core"},
    "measure": {"core"},
    "data": {"core", "registry", "storage"},
    "algorithms": {"core", "parts", "nets", "registry"},
    "training": {"core", "data", "measure", "parts", "nets", "storage", "screen"},
    "recipes": {"core", "nets", "algorithms", "data", "registry", "screen"},
    "runs": _RUNS - {"runs"},
    "plots": _RUNS,
    "results": {*_GROUND, "data", "recipes", "runs", "plots"},
    "costs": _RUNS,
    "compare": {*_PLOTS, "costs", "results"},
    "pipeline": {*_RUNS, "costs"},
    "modules": _RUNS,
    "export": _RUNS,
    "testing": {"core", "algorithms", "nets", "measure", "parts"},
    "sklearn": _ALL,
    "cli": _ALL,
    "__main__": {"cli"},
    "api": _ALL,
    "__init__": {*_ALL, "api"},
}

MAX_FILE, MAX_ALGORITHM, MAX_FUNCTION = 400, 120, 40


def _room(path: Path) -> str:
    """The first name below onward: a folder, or a file that stands alone."""
    return path.relative_to(SOURCE).with_suffix("").parts[0]


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    """The dotted names of everything that a file of this package imports, wherever it does so."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _package(path: Path) -> str:
    return ".".join(["onward", *path.relative_to(SOURCE).parent.parts])


def _shut_doors(tree: ast.AST, package: str, room: str) -> list[str]:
    """Imports of rooms that this room must not know."""
    rooms = [name.split(".")[1] for name in _imports(tree, package) if name.startswith("onward.")]
    return sorted({other for other in rooms if other in DOORS and other != room and other not in DOORS[room]})


def _foreign(tree: ast.AST, package: str, allowed: set[str]) -> list[str]:
    """Imported packages that are neither onward, nor allowed, nor part of Python."""
    known = {"onward", *allowed, *sys.stdlib_module_names}
    return sorted({name.split(".")[0] for name in _imports(tree, package)} - known)


_UNPICKLERS = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}


def _unpickles(tree: ast.AST) -> list[str]:
    """Everything that would run a downloaded file's code."""
    names = list(_imports(tree, "onward"))
    found = [name for name in names if name.split(".")[0] in _UNPICKLERS or name in ("torch.load", "torch.hub")]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            dotted = f"{node.value.id}.{node.attr}"
            found += [dotted] if dotted in ("torch.load", "torch.hub") or node.value.id in _UNPICKLERS else []
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            refused = isinstance(node.value, ast.Constant) and node.value.value is False
            found += [] if refused else ["allow_pickle"]
    return found


def _long_functions(tree: ast.AST, limit: int) -> list[str]:
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [f.name for f in functions if (f.end_lineno or 0) - _first_line(f) + 1 >= limit]


def _first_line(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The line where the body begins: a signature with its types and a docstring may be long."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[0].lineno if body else (function.end_lineno or 0) + 1


def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))


@each_file
def test_rooms_import_only_the_rooms_below_them(path: Path):
    assert _room(path) in DOORS, f"{_room(path)} is a new room: say in DOORS and in DESIGN.md what it may import"
    assert _shut_doors(_parse(path), _package(path), _room(path)) == []


@pytest.mark.parametrize("path", [p for p in FILES if _room(p) == "core"], ids=lambda path: path.name)
def test_the_core_needs_torch_numpy_and_jaxtyping_alone(path: Path):
    assert _foreign(_parse(path), _package(path), {"torch", "numpy", "jaxtyping"}) == []


@each_file
def test_nothing_is_ever_unpickled(path: Path):
    assert _unpickles(_parse(path)) == []


@each_file
def test_annotations_are_real(path: Path):
    """Postponed annotations are strings, which no shape check can run."""
    assert "__future__.annotations" not in list(_imports(_parse(path), _package(path)))


@each_file
def test_files_and_functions_are_short(path: Path):
    limit = MAX_ALGORITHM if _room(path) == "algorithms" else MAX_FILE
    assert len(path.read_text(encoding="utf-8").splitlines()) <= limit
    assert _long_functions(_parse(path), MAX_FUNCTION) == []


def test_all_source_files_are_seen():
    assert {"core", "parts", "nets", "algorithms", "measure"} <= {_room(path) for path in FILES}


@pytest.mark.parametrize(
    "code",
    [
        "from onward.algorithms import Backprop",
        "import onward.algorithms.backprop",
        "from onward import algorithms",
        "from ..algorithms import Backprop",
        "from .. import algorithms",
        "def later():\n    from onward.algorithms import Backprop",
    ],
)
def test_every_way_to_import_is_seen(code: str):
    assert _shut_doors(ast.parse(code), "onward.core", "core") == ["algorithms"]
    assert _shut_doors(ast.parse(code), "onward.runs", "runs") == []


def test_imports_inside_a_room_are_free():
    assert (
        _shut_doors(
            ast.parse("from onward.core.span import Span\nfrom .block import LocalBlock"), "onward.core", "core"
        )
        == []
    )


def test_foreign_packages_are_seen():
    code = "import os, torch.nn\nfrom numpy import array\nfrom onward.core import Span"
    assert _foreign(ast.parse(code), "onward.core", {"torch"}) == ["numpy"]


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "torch.load(f)",
        "from torch import load",
        "np.load(f, allow_pickle=x)",
    ],
)
def test_every_way_to_unpickle_is_seen(code: str):
    assert _unpickles(ast.parse(code))


def test_a_refused_pickle_is_fine():
    assert _unpickles(ast.parse("np.load(f, allow_pickle=False)")) == []


def test_long_functions_are_seen():
    documented = "def short():\n" + '    """' + "A line.\n" * 40 + '    """\n' + "    pass\n" * 39
    code = f"{documented}\ndef long():\n" + "    pass\n" * 40
    assert _long_functions(ast.parse(code), 40) == ["long"]
