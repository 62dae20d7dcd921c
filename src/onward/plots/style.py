"""The style of charts: colors, light and dark, and the style of each method."""

from dataclasses import dataclass
from typing import Any

INK, SOFT, GRID, CARD, CONTROL, WRONG = "#17202a", "#5b6673", "#e8ecf0", "#ffffff", "#77818c", "#c8452f"
OWN = ("#0b7a75", "#d1622b", "#4a5fc1", "#b0347a", "#5c8a1f", "#b58900", "#7a4fc0", "#1f8fc4")
PARTS = ("#43515e", "#94a3b1", "#e0a11b", OWN[0], "#a5633d", "#7cc4bc")
RIGHT = OWN[0]

DARK = {
    INK: "#e7ecf0",
    SOFT: "#9aa7b3",
    GRID: "#25303a",
    CARD: "#182028",
    CONTROL: "#93a0ac",
    WRONG: "#ee6b55",
    **dict(
        zip(OWN, ("#4fc4bb", "#f0915c", "#8ea0f5", "#ee7fb9", "#a3cf62", "#e3c04d", "#b797f2", "#6fc3ec"), strict=True)
    ),
    **dict(zip(PARTS, ("#7d8d9b", "#4d5b68", "#e6b64a", "#4fc4bb", "#c58a63", "#a9e0da"), strict=True)),
}
"""The dark counterpart of each light color. Charts have light colors; a style sheet replaces them on dark screens."""

_SHAPES = ("circle", "square", "triangle-up", "diamond")
_DASHES = ([1, 0], [7, 4], [2, 4], [8, 3, 2, 3])


@dataclass(frozen=True)
class SeriesStyle:
    """Style of a method in all charts: its name, a color, a mark, and whether it is a control."""

    label: str
    index: int
    control: bool

    @property
    def color(self) -> str:
        return CONTROL if self.control else OWN[self.index % len(OWN)]

    @property
    def mark(self) -> int:
        return self.index % len(_SHAPES)

    @property
    def shape(self) -> str:
        return _SHAPES[self.mark]

    @property
    def dash(self) -> list[int]:
        return _DASHES[self.mark if self.control else 0]


def config() -> dict[str, Any]:
    """Return the configuration of all charts: fonts, axes without frames, and a transparent background."""
    axis = {"labelColor": SOFT, "titleColor": SOFT, "gridColor": GRID, "domainColor": SOFT, "tickColor": GRID}
    sizes = {"labelFontSize": 11.5, "titleFontSize": 11.5, "titleFontWeight": "normal", "labelLimit": 140}
    return {
        "background": "transparent",
        "font": "system-ui, -apple-system, Segoe UI, Roboto, Liberation Sans, sans-serif",
        "view": {"stroke": None},
        "axis": {**axis, **sizes, "labelOverlap": "greedy"},
        "axisX": {"grid": False},
        "axisY": {"domain": False, "ticks": False, "labelPadding": 8},
        "text": {"color": INK, "fontSize": 11.5},
        "legend": {"labelColor": INK, "titleColor": SOFT, "orient": "bottom", "columns": 2, "labelLimit": 0},
    }


def recolored(within: str) -> str:
    """Return the style-sheet rules for dark charts inside an element."""
    return "\n".join(
        f'{within} [{what}="{light}"] {{ {what}: {dark}; }}'
        for light, dark in DARK.items()
        for what in ("fill", "stroke")
    )
