"""Draws the memory of a training step by category, from what peak_memory.py filed, as docs/memory_by_category.svg."""

import json
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parent.parent
_COLOURS = {
    "parameters": "#455a64",
    "optimizer": "#90a4ae",
    "gradients": "#ffb300",
    "activations": "#00897b",
    "batch": "#6d4c41",
    "workspace": "#80cbc4",
}
_LEFT, _BAR, _GAP, _WIDTH = 230, 22, 8, 560


def draw(rows: list[dict[str, Any]]) -> str:
    """Return one bar for each contender, cut into categories, as SVG."""
    scale, parts = _WIDTH / max(row["total"] for row in rows), []
    for index, row in enumerate(rows):
        x, y = float(_LEFT), 40 + index * (_BAR + _GAP)
        name = f"{row['contender']} ({row['precision']}, {row['images']})"
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 16}" text-anchor="end">{name}</text>')
        for category, colour in _COLOURS.items():
            width = row[category] * scale
            parts.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{colour}"/>')
            x += width
        parts.append(f'<text x="{x + 6:.1f}" y="{y + 16}">{row["total"]:,.0f} MB</text>')
    for index, (category, colour) in enumerate(_COLOURS.items()):
        x = 10 + 135 * index
        parts.append(f'<rect x="{x}" y="10" width="12" height="12" fill="{colour}"/>')
        parts.append(f'<text x="{x + 17}" y="21">{category}</text>')
    size = f'width="{_LEFT + _WIDTH + 100}" height="{50 + len(rows) * (_BAR + _GAP)}"'
    style = 'font-family="sans-serif" font-size="13" fill="#546e7a"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>{"".join(parts)}</svg>\n'


def main() -> None:
    found = json.loads((_ROOT / "results" / "benchmarks" / "peak_memory.json").read_text())
    path = _ROOT / "docs" / "memory_by_category.svg"
    path.write_text(draw(found["rows"]))
    print(path)


if __name__ == "__main__":
    main()
