"""The notebooks run from above to below as they stand, and print what is kept in them."""

import json
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "examples" / "notebooks").glob("*.ipynb"))


def test_there_are_notebooks_and_they_are_small():
    assert len(NOTEBOOKS) >= 2 and all(path.stat().st_size < 20_000 for path in NOTEBOOKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path):
    scope: dict[str, Any] = {"__name__": path.stem}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        said = StringIO()
        with redirect_stdout(said):
            exec(compile("".join(cell["source"]), str(path), "exec"), scope)
        kept = "".join(text for output in cell["outputs"] for text in output["text"])
        assert len(said.getvalue().splitlines()) == len(kept.splitlines())
