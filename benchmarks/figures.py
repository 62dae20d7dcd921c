"""Draws docs/figures/*.svg from what benchmarks filed: memory by category, activations by depth, time, early exits."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]

_ROOT = Path(__file__).parent.parent
_MEMORY = ("parameters", "optimizer", "gradients", "activations", "batch", "workspace")
_PHASES = ("data", "forward", "score", "gradient", "optimizer", "handoff")
_COLOURS = ("#455a64", "#90a4ae", "#ffb300", "#00897b", "#6d4c41", "#80cbc4")
_LEFT, _BAR, _GAP, _WIDTH = 330, 22, 8, 520


def main() -> None:
    folder = _ROOT / "docs" / "figures"
    folder.mkdir(exist_ok=True)
    memory = [(f"{r['contender']} ({r['precision']}, {r['images']})", r) for r in _rows("peak_memory")]
    phases = [(f"{r['net']}, {r['contender']} ({r['precision']}, {r['batch']})", r) for r in _rows("phases")]
    drawn = {
        "memory_by_category": stacked(memory, _MEMORY, "MB", 1.0),
        "time_by_phase": stacked(phases, _PHASES, "ms", 1000.0),
        "activations_by_depth": lines(_rows("depth")),
        "early_exits": curves(_rows("early_exits")),
    }
    for name, text in drawn.items():
        (folder / f"{name}.svg").write_text(text)
        print(folder / f"{name}.svg")


def stacked(bars: Sequence[tuple[str, Row]], parts: Sequence[str], unit: str, scale: float) -> str:
    """Return one bar for each row, cut into parts, with their sum behind it."""
    totals = [scale * sum(row[part] for part in parts) for _, row in bars]
    drawn = []
    for index, (part, colour) in enumerate(zip(parts, _COLOURS, strict=True)):
        drawn += [_box(10 + 130 * index, 10, 12, 12, colour), _text(27 + 130 * index, 21, part)]
    for index, ((name, row), total) in enumerate(zip(bars, totals, strict=True)):
        x, y = float(_LEFT), 40 + index * (_BAR + _GAP)
        drawn.append(_text(_LEFT - 8, y + 16, name, anchor="end"))
        for part, colour in zip(parts, _COLOURS, strict=True):
            width = scale * row[part] / max(totals) * _WIDTH
            drawn.append(_box(x, y, width, _BAR, colour))
            x += width
        drawn.append(_text(x + 6, y + 16, f"{total:,.0f} {unit}"))
    return _svg(_LEFT + _WIDTH + 110, 50 + len(bars) * (_BAR + _GAP), drawn)


def lines(rows: Sequence[Row]) -> str:
    """Return activations and workspace over the number of equal layers: backprop's grow, greedy ones do not."""
    most, deepest, left, height = max(r["backprop_mb"] for r in rows), max(r["layers"] for r in rows), 70, 260
    drawn = [_text(10, 18, "activations and workspace of a step, MB, over the number of equal layers")]
    for key, colour, name in (("backprop_mb", "#90a4ae", "backprop"), ("greedy_mb", "#00897b", "greedy")):
        dots = [(left + r["layers"] / deepest * _WIDTH, height - r[key] / most * (height - 50)) for r in rows]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        drawn.append(_text(dots[-1][0] + 8, dots[-1][1] + 4, f"{name} {rows[-1][key]:,.0f}"))
    for r in rows:
        drawn.append(_text(left + r["layers"] / deepest * _WIDTH, height + 20, str(r["layers"]), anchor="middle"))
    return _svg(left + _WIDTH + 120, height + 30, drawn)


def curves(rows: Sequence[Row]) -> str:
    """Return, for each recipe, the accuracy lost over the share of compute, both in percent; lost upside down."""
    left, top, height, most = 70, 50, 220, 5.0
    drawn = [_text(10, 18, "test accuracy lost, in points, over the share of all operations, in %")]
    for percent in range(0, 101, 20):
        drawn.append(_text(left + percent / 100 * _WIDTH, top + height + 20, str(percent), anchor="middle"))
    for points in range(int(most) + 1):
        drawn.append(_text(left - 12, top + points / most * height + 4, str(points), anchor="end"))
    for index, recipe in enumerate(dict.fromkeys(row["recipe"] for row in rows)):
        found = [r for r in rows if r["recipe"] == recipe and 100 * r["lost"] <= most]
        dots = [(left + r["compute"] * _WIDTH, top + 100 * r["lost"] / most * height) for r in found]
        path, colour = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots), _COLOURS[(3, 2, 0, 4)[index % 4]]
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        drawn += [_box(330, 180 + 22 * index, 12, 12, colour), _text(348, 191 + 22 * index, recipe)]
    return _svg(left + _WIDTH + 60, top + height + 30, drawn)


def _rows(benchmark: str) -> list[Row]:
    return json.loads((_ROOT / "results" / "benchmarks" / f"{benchmark}.json").read_text())["rows"]


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{height}" fill="{colour}"/>'


def _text(x: float, y: float, words: str, *, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{words}</text>'


def _svg(width: int, height: int, parts: Sequence[str]) -> str:
    # A grey that can be read on white and on black.
    style = 'font-family="sans-serif" font-size="13" fill="#78909c"'
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>{"".join(parts)}</svg>\n'


if __name__ == "__main__":
    main()
