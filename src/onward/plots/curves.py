"""Curves and points in any unit, with a legend in the chart: for single figures in documents."""

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt

from onward.plots.charts import Chart, Line, Number, finished
from onward.plots.style import CARD, CONTROL, OWN

KINDS = ("one layer", "one layer, auxiliary network", "read-outs alone", "two layers")
"""Kinds of points that have the same color in every chart; others get the remaining colors."""

BACKPROP = "backprop"
"""The kind of points with which others are compared."""

_SHAPES = ("circle", "square", "triangle-up", "cross", "triangle-down", "stroke")


@dataclass(frozen=True)
class Point:
    """A training: its name, cost, accuracy as a fraction with its interval, and kind."""

    name: str
    cost: Number
    accuracy: Number
    low: Number | None
    high: Number | None
    kind: str


def curves(
    lines: Sequence[Line],
    x: str,
    y: str,
    *,
    ticks: Sequence[Number] = (),
    falling: bool = False,
    height: int = 240,
) -> Chart:
    """Return curves on one pair of axes; `falling` puts the smallest value on top."""
    rows = [{"x": x, "y": y, "m": line.style.label} for line in lines for x, y in line.points]
    names = [line.style.label for line in lines]
    axis = alt.Axis(values=list(ticks)) if ticks else alt.Axis(tickCount=6)
    base = alt.Chart(alt.NamedData("points")).encode(
        x=alt.X("x:Q", title=x, axis=axis),
        y=alt.Y("y:Q", title=y, axis=alt.Axis(tickCount=6), scale=alt.Scale(reverse=falling)),
        color=alt.Color(
            "m:N",
            scale=alt.Scale(domain=names, range=[line.style.color for line in lines]),
            legend=alt.Legend(title=None, orient="top", columns=1),
        ),
    )
    tooltip = [alt.Tooltip("m:N", title="of"), alt.Tooltip("x:Q", title=x), alt.Tooltip("y:Q", title=y)]
    layers: list[Chart] = [
        base.mark_line(strokeWidth=2.2),
        base.mark_point(filled=True, size=40).encode(tooltip=tooltip),
    ]
    return finished(layers, {"points": rows}, height, f"{y} against {x}", names)


def accuracy_by_cost(points: Sequence[Point], cost: str, *, title: str = "", height: int = 320) -> Chart:
    """Return accuracies over training costs, on a logarithmic axis, with intervals if given."""
    rows = [
        {"n": p.name, "x": p.cost, "y": round(100 * p.accuracy, 3), "k": p.kind}
        | ({} if p.low is None or p.high is None else {"l": round(100 * p.low, 3), "h": round(100 * p.high, 3)})
        for p in points
    ]
    kinds = sorted({p.kind for p in points}, key=lambda kind: (kind == BACKPROP, kind not in KINDS, kind))
    known = [*KINDS, *(kind for kind in kinds if kind not in KINDS)]
    index = [known.index(kind) for kind in kinds]
    colors = [CONTROL if kind == BACKPROP else OWN[k % len(OWN)] for kind, k in zip(kinds, index, strict=True)]
    marks = ["diamond" if kind == BACKPROP else _SHAPES[k % 6] for kind, k in zip(kinds, index, strict=True)]
    base = alt.Chart(alt.NamedData("trainings")).encode(
        x=alt.X(
            "x:Q",
            title=cost,
            scale=alt.Scale(type="log", nice=False, padding=12),
            axis=alt.Axis(format="~s", tickCount=5),
        ),
        color=alt.Color(
            "k:N",
            scale=alt.Scale(domain=kinds, range=colors),
            legend=alt.Legend(title=None, orient="top", columns=3, columnPadding=40),
        ),
    )
    y = alt.Y("y:Q", title="test accuracy, %", scale=alt.Scale(zero=False, padding=8), axis=alt.Axis(tickCount=6))
    tooltip = [alt.Tooltip("n:N", title="recipe"), alt.Tooltip("y:Q", title="test accuracy, %", format=".2f")]
    tooltip += [alt.Tooltip("x:Q", title=cost, format=".3s"), alt.Tooltip("k:N", title="gradient reaches")]
    shapes = alt.Shape("k:N", scale=alt.Scale(domain=kinds, range=marks))
    dots = base.mark_point(filled=True, size=64, stroke=CARD, strokeWidth=1, opacity=0.9)
    layers: list[Chart] = [dots.encode(y=y, shape=shapes, tooltip=tooltip)]
    if any("l" in row for row in rows):
        low = alt.Y("l:Q", title="test accuracy, %", scale=alt.Scale(zero=False, padding=8))
        interval = base.mark_rule(strokeWidth=1.4, opacity=0.8).encode(y=low, y2=alt.Y2("h:Q"))
        layers.insert(0, interval.transform_filter("isValid(datum.l)"))
    return finished(layers, {"trainings": rows}, height, f"{title}: test accuracy against {cost}", [])
