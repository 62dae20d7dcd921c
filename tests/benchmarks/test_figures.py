"""The figures of the documentation, drawn from what the benchmarks filed."""

import sys
from pathlib import Path

import pytest

_BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_the_filed_rows_can_be_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(_BENCHMARKS))
    sys.modules.pop("figures", None)
    import figures  # pyright: ignore[reportMissingImports]

    figures.main(tmp_path)
    names = {path.stem for path in tmp_path.glob("*.svg")}
    assert names == {"activations_by_depth", "early_exits", "memory_by_category", "time_by_phase"}
