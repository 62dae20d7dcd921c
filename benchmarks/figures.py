"""Draws docs/figures/*.svg from what benchmarks filed: memory by category, activations by depth, time, early exits."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from onward.plots import Bar, Line, SeriesStyle, bars, curves, svg

Row = dict[str, Any]

_ROOT = Path(__file__).parent.parent
_MEMORY = ("parameters", "optimizer", "gradients", "activations", "batch", "workspace")
_PHASES = ("data", "forward", "score", "gradient", "optimizer", "handoff")
_LOST = 0.05  # accuracy, beyond which no early exit is drawn


def main(folder: Path = _ROOT / "docs" / "figures") -> None:
    folder.mkdir(exist_ok=True)
    memory = [(f"{r['contender']} ({r['precision']}, {r['images']})", r) for r in _rows("peak_memory")]
    phases = [(f"{r['net']}, {r['contender']} ({r['precision']}, {r['batch']})", r) for r in _rows("phases")]
    drawn = {
        "memory_by_category": stacked(memory, _MEMORY, "MB", 1.0, "Memory of a step by category"),
        "time_by_phase": stacked(phases, _PHASES, "ms", 1000.0, "Time of a step by phase"),
        "activations_by_depth": depth(_rows("depth")),
        "early_exits": exits(_rows("early_exits")),
    }
    for name, chart in drawn.items():
        (folder / f"{name}.svg").write_text(svg(chart, width=700))
        print(folder / f"{name}.svg")


def stacked(rows: Sequence[tuple[str, Row]], parts: Sequence[str], unit: str, scale: float, title: str):
    """Return one bar for each row, cut into parts, with their sum behind it."""
    bar_rows = []
    for name, row in rows:
        values = tuple((k, scale * row[part]) for k, part in enumerate(parts))
        bar_rows.append(Bar(SeriesStyle(name, 0, False), values, f"{sum(value for _, value in values):,.0f} {unit}"))
    return bars(bar_rows, unit, title=title, kinds=parts, legend=True)


def depth(rows: Sequence[Row]):
    """Return activations and workspace over the number of equal layers: backprop's grow, greedy ones do not."""
    lines = [
        Line(SeriesStyle("backprop", 0, True), tuple((r["layers"], r["backprop_mb"]) for r in rows)),
        Line(SeriesStyle("greedy", 0, False), tuple((r["layers"], r["greedy_mb"]) for r in rows)),
    ]
    return curves(lines, "equal layers", "activations and workspace of a step, MB", ticks=[r["layers"] for r in rows])


def exits(rows: Sequence[Row]):
    """Return, for each recipe, the accuracy lost over the share of compute, both in percent; lost upside down."""
    lines = []
    for index, recipe in enumerate(dict.fromkeys(row["recipe"] for row in rows)):
        points = [r for r in rows if r["recipe"] == recipe and r["lost"] <= _LOST]
        lines.append(
            Line(SeriesStyle(recipe, index, False), tuple((100 * r["compute"], 100 * r["lost"]) for r in points))
        )
    return curves(lines, "share of all operations, %", "test accuracy lost, points", falling=True)


def _rows(benchmark: str) -> list[Row]:
    return json.loads((_ROOT / "results" / "benchmarks" / f"{benchmark}.json").read_text())["rows"]


if __name__ == "__main__":
    main()
