"""Rows are literals: their files hold nothing else, and `literal` writes any recipe as one."""

import ast
from pathlib import Path

import pytest

import onward.algorithms
import onward.core
import onward.data
import onward.nets
import onward.recipes
from onward.cli import main
from onward.recipes import RECIPES, control, literal, retired

_FOLDER = Path(onward.recipes.__file__).parent
_FILES = sorted([*_FOLDER.glob("methods/*.py"), *_FOLDER.glob("comparisons/*.py")])
_CLASSES = {
    name: value
    for module in (onward.algorithms, onward.core, onward.data, onward.nets, onward.recipes)
    for name, value in vars(module).items()
    if isinstance(value, type)
}
_CALLED = {*_CLASSES, "Budget"}


def _faults(path: Path) -> list[str]:
    """Return what is neither a docstring, an import, a constant nor the tuple of rows."""
    tree = ast.parse(path.read_text())
    kinds = [node for node in tree.body if not isinstance(node, ast.Expr | ast.ImportFrom | ast.Assign)]
    found = [f"line {node.lineno}: {type(node).__name__}" for node in kinds]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            rows = isinstance(node.func, ast.Attribute) and node.func.attr == "rows"
            if not rows and not (isinstance(node.func, ast.Name) and node.func.id in _CALLED):
                found.append(f"line {node.lineno}: {ast.unparse(node.func)}(...)")
        if isinstance(node, ast.JoinedStr | ast.ListComp | ast.GeneratorExp | ast.IfExp | ast.Lambda):
            found.append(f"line {node.lineno}: {type(node).__name__}")
    return found


@pytest.mark.parametrize("path", [*_FILES, _FOLDER / "retired.py"], ids=lambda path: path.name)
def test_a_file_of_rows_computes_nothing(path: Path):
    assert _faults(path) == []
    assert max(map(len, path.read_text().splitlines())) <= 120


def test_a_row_that_is_computed_would_be_seen(tmp_path: Path):
    path = tmp_path / "rows.py"
    path.write_text('ROW = replace(OTHER, name=f"{OTHER.name}-x")\ndef row(): ...\nif 1:\n    pass\n')
    assert len(_faults(path)) == 4


def test_all_files_of_rows_are_among_the_recipes():
    from onward.recipes import comparisons, methods

    modules = [module for room in (methods, comparisons) for module in vars(room).values() if hasattr(module, "ROWS")]
    assert len(modules) == len([path for path in _FILES if path.name != "__init__.py"])
    assert sorted(row.name for module in modules for row in module.ROWS) == sorted(row.name for row in RECIPES)


def test_recipes_are_read_back_from_their_literals():
    for row in (*RECIPES, *retired.ROWS):
        for recipe in (row, control(row, "backprop")):
            text = literal(recipe)
            assert eval(text, dict(_CLASSES)) == recipe
            assert max(map(len, text.splitlines())) <= 120 or "tree=" in text, text


def test_show_prints_the_row_its_number_its_record_and_its_control(capsys: pytest.CaptureFixture[str], monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    assert main(["show", "asge-cifar10-gpu"]) == 0
    out = capsys.readouterr().out
    row = next(row for row in RECIPES if row.name == "asge-cifar10-gpu")
    assert out.startswith(f"asge-cifar10-gpu\n{literal(row)}\n")
    lines = dict(line.split("  ", 1) for line in out.splitlines() if line[:1].islower() and "  " in line)
    assert "90.62 %" in lines["published"] and "Gong et al. 2026" in lines["published"]
    assert "90.76 %  CIFAR-10, 40k train" in lines["recorded"]
    assert "backprop-asge-cifar10-gpu" in lines["backprop"]
    assert lines["locality"].strip() == "one layer"


def test_show_finds_the_control_of_another_row_and_says_what_is_not_trained(
    capsys: pytest.CaptureFixture[str], monkeypatch, tmp_path: Path
):
    monkeypatch.chdir(Path(__file__).parents[2])
    assert main(["show", "mono_forward-cifar10-fast"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("mono_forward-cifar10-cpu\n") and "backprop-distance_forward-cifar10-cpu" in out
    assert "before      mono_forward-cifar10-fast\n" in out
    monkeypatch.chdir(tmp_path)
    assert main(["show", "asge-imagenet"]) == 0
    assert "not trained yet: onward train asge-imagenet --control backprop" in capsys.readouterr().out
    assert main(["show", "asge-imgenet"]) == 2
