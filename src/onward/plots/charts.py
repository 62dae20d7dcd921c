"""Charts: lines, bars, confusion matrices and recovery by learning, as wide as their container.

Each takes plain values and returns an altair chart. Fractions are drawn as percent.
"""

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
from rich.cells import cell_len

from onward.plots.style import CARD, GRID, INK, PARTS, RIGHT, SOFT, WRONG, SeriesStyle, config

Number = int | float
Chart = alt.Chart | alt.LayerChart

_MARKED = 12  # largest number of points that all have marks; a longer line has a mark at its end
_MOST, _IN_ALL = 150, 4000  # largest number of points drawn in a line, and about that of a chart
_NAME = 15  # letters of a class name beside a matrix
_THICK, _GAP, _LINE, _ROOM = 14, 12, 15, 112  # of bars: height, distance, line of text, room for the value after it


@dataclass(frozen=True)
class Line:
    """A curve through points (x, y); `spread` is its deviation at each point, 0 for none."""

    style: SeriesStyle
    points: tuple[tuple[Number, Number], ...]
    spread: tuple[Number, ...] = ()


@dataclass(frozen=True)
class Bar:
    """A bar of several parts, (kind, value) each, with a name above it and a text after it."""

    style: SeriesStyle
    parts: tuple[tuple[int, Number], ...]
    text: str
    note: str = ""

    @property
    def total(self) -> Number:
        return sum(value for _, value in self.parts)


def lines(
    lines: Sequence[Line],
    axis: str,
    *,
    title: str = "",
    unit: str = "test accuracy, %",
    ticks: Sequence[str] = (),
    within: tuple[Number, Number] | None = None,
    floor: Number | None = None,
    height: int = 230,
) -> Chart:
    """Return curves of fractions on one pair of axes, in percent if `unit` contains %.

    `ticks`: labels of the x axis at 0, 1, ...; without them, round numbers. `floor`: the level of chance. `within`: the
    bounds of the y axis.
    """
    shares, times = unit.endswith("%"), 100 if unit.endswith("%") else 1
    low, high = bounds([y for line in lines for _, y in line.points] or [0.0], within, shares=shares)
    base = _colored_lines(lines, axis, ticks)
    scale = alt.Scale(domain=[times * low, times * high], nice=False)
    y = alt.Y("y:Q", title=None, axis=alt.Axis(tickCount=6), scale=scale)
    layers: list[Chart] = []
    if floor is not None and low < floor < high:
        level = alt.Chart(alt.NamedData("floor")).mark_rule(color=SOFT, strokeDash=[1, 4])
        layers.append(level.encode(y=y))
    if any(any(line.spread) for line in lines):
        band = base.mark_area(clip=True).encode(y=alt.Y("l:Q", scale=scale), y2=alt.Y2("h:Q"), opacity=_picked(0.14))
        layers.append(band)
    dashes = _by_label(lines, [line.style.dash for line in lines], alt.StrokeDash)
    layers.append(base.mark_line(strokeWidth=2.2, strokeJoin="round").encode(y=y, strokeDash=dashes, opacity=_picked()))
    tooltip = _tooltip(m="line", x=axis or "x", t=unit.split(", ")[-1])
    shapes = _by_label(lines, [line.style.shape for line in lines], alt.Shape)
    marks = base.mark_point(filled=True, size=52, stroke=CARD, strokeWidth=1.2)
    layers.append(marks.encode(y=y, shape=shapes, tooltip=tooltip, opacity=_marked()))
    most = min(_MOST, max(2, _IN_ALL // max(1, len(lines))))
    rows = {"points": [row for number, line in enumerate(lines) for row in _points(line, number, most, times)]}
    rows |= {"floor": [{"y": times * floor}]} if floor is not None else {}
    return finished(layers, rows, height, f"{title}: {unit} against {axis}", [line.style.label for line in lines])


def _colored_lines(lines: Sequence[Line], axis: str, ticks: Sequence[str]) -> alt.Chart:
    """Return the chart of the points of all lines, with its x axis and the color of each line."""
    xs = [x for line in lines for x, _ in line.points] or [0.0]
    scale = alt.Scale(domain=[min(xs), max(xs)], nice=False)
    return alt.Chart(alt.NamedData("points")).encode(
        x=alt.X("x:Q", title=axis or None, axis=_below(xs, ticks), scale=scale),
        color=_by_label(lines, [line.style.color for line in lines]),
        detail=alt.Detail("n:N"),
    )


def _tooltip(**titles: str) -> list[alt.Tooltip]:
    """Return a tooltip of columns, of a line's point, by their titles: x is a number, all others are text."""
    return [alt.Tooltip(f"{name}:{'Q' if name == 'x' else 'N'}", title=title) for name, title in titles.items()]


def bars(bars: Sequence[Bar], unit: str, *, title: str = "", kinds: Sequence[str] = (), legend: bool = False) -> Chart:
    """Return horizontal bars from 0, one below the other; `kinds` names the parts, if a bar has several.

    With a `legend` the chart explains the parts.
    """
    styles = [bar.style for bar in bars]
    names, data, step, below = _names(styles, [bar.note for bar in bars])
    parts, texts = [], []
    for k, bar in enumerate(bars):
        x = 0.0
        for kind, value in bar.parts:
            color = PARTS[kind] if kinds else bar.style.color
            part = {"i": k, "a": x, "b": x + value, "c": color, "m": bar.style.label, "v": f"{value:,.4g} {unit}"}
            parts += [part | ({"k": kinds[kind]} if kinds else {})] if value > 0 else []
            x += value
        texts.append({"i": k, "b": x, "t": bar.text, "m": bar.style.label})
    most = max((bar.total for bar in bars), default=0.0) or 1.0
    x = alt.X("a:Q", axis=None, scale=alt.Scale(domain=[0, most], nice=False, range=[0, {"expr": f"width - {_ROOM}"}]))
    tooltip = [alt.Tooltip("m:N", title="of"), alt.Tooltip("v:N", title="value")]
    tooltip += [alt.Tooltip("k:N", title="part")] if kinds else []
    color = _own_color()
    if legend:
        scale = alt.Scale(domain=list(kinds), range=list(PARTS[: len(kinds)]))
        color = alt.Color("k:N", scale=scale, legend=alt.Legend(title=None, orient="top", columns=len(kinds)))
    drawn = alt.Chart(alt.NamedData("parts")).mark_bar(size=_THICK, yOffset=below)
    value = alt.Chart(alt.NamedData("values")).mark_text(align="left", baseline="middle", dx=6, dy=below)
    layers = [
        drawn.encode(x=x, x2=alt.X2("b:Q"), y=_rows(bars), color=color, tooltip=tooltip, opacity=_picked()),
        value.encode(x=alt.X("b:Q", axis=None), y=_rows(bars), text=alt.Text("t:N")),
        *names,
    ]
    data |= {"parts": parts, "values": texts}
    return finished(layers, data, step * max(1, len(bars)), f"{title}, {unit}", [style.label for style in styles])


def _angle(names: Sequence[str]) -> int:
    return -55 if any(len(name) > 2 for name in names) else 0


def matrix(style: SeriesStyle, names: Sequence[str], counts: Sequence[Sequence[int]]) -> Chart:
    """Return a confusion matrix from counts: true classes in rows, predicted ones in columns, as shares of the row."""
    rows = [
        {"r": row, "c": column, "n": count, "p": round(100 * count / max(1, sum(line)), 1)}
        for row, line in enumerate(counts)
        for column, count in enumerate(line)
        if count
    ]
    short = [shortened(name) for name in names]
    bands = {"domain": list(range(len(names))), "paddingInner": 0.06}
    axis = {
        "labelExpr": f"{_listed(short)}[datum.value]",
        "domain": False,
        "ticks": False,
        "title": None,
        "grid": False,
    }
    base = alt.Chart(alt.NamedData("cells")).encode(
        x=alt.X("c:O", scale=alt.Scale(**bands), axis=alt.Axis(**axis, labelAngle=_angle(short), labelOverlap=False)),
        y=alt.Y("r:O", scale=alt.Scale(**bands), axis=alt.Axis(**axis, labelOverlap=False)),
    )
    tooltip = [alt.Tooltip("true:N", title="class"), alt.Tooltip("taken:N", title="taken for")]
    tooltip += [alt.Tooltip("n:Q", title="images"), alt.Tooltip("p:Q", title="%")]
    shares = "datum.r == datum.c ? datum.p / 100 : sqrt(datum.p / 100)"  # small shares of mistakes stay visible
    listed = _listed(names)
    named = {"true": f"{listed}[datum.r]", "taken": f"{listed}[datum.c]", "s": shares}
    cells = base.mark_rect().encode(
        color=alt.ColorValue(WRONG, condition={"test": "datum.r == datum.c", "value": RIGHT}),
        opacity=alt.Opacity("s:Q", scale=None),
        tooltip=tooltip,
    )
    cells = cells.transform_calculate(**named)
    fits = alt.OpacityValue(0, condition={"test": f"datum.p >= 0.5 && width / {len(names)} >= 22", "value": 1})
    deep = {"test": "datum.r == datum.c && datum.p > 60", "value": CARD}
    numbers = base.mark_text(fontSize=10).encode(
        text=alt.Text("p:Q", format=".0f"), color=alt.ColorValue(INK, condition=deep), opacity=fits
    )
    step = max(15, min(30, 330 // len(names)))
    return finished(
        [cells, numbers], {"cells": rows}, step * len(names), f"Confusion matrix of {style.label}", [style.label]
    )


def recovery(
    rows: Sequence[tuple[SeriesStyle, Number, Number, Number, str]],
    *,
    title: str = "",
    unit: str = "test accuracy, %",
) -> Chart:
    """Return a row per method: accuracy on a chip before and after learning on it, and without the chip, with a note.

    Fractions are drawn in percent if `unit` contains %.
    """
    shares, times = unit.endswith("%"), 100 if unit.endswith("%") else 1
    styles = [style for style, *_ in rows]
    names, data, step, below = _names(styles, [text for *_, text in rows])
    methods = [
        {"i": k, "a": times * met, "b": times * after, "z": times * clean}
        | {"m": style.label, "c": style.color, "w": style.shape}
        for k, (style, met, after, clean, _) in enumerate(rows)
    ]
    low, _ = bounds([value for _, *values, _ in rows for value in values], shares=shares)
    sign, digits = (", %", ".2f") if shares else ("", ".4f")
    numbers = {"a": "before", "b": "after", "z": "without the chip"}
    tooltip = [alt.Tooltip(f"{name}:Q", title=f"{text}{sign}", format=digits) for name, text in numbers.items()]
    base = alt.Chart(alt.NamedData("methods")).encode(
        y=_rows(rows), opacity=_picked(), tooltip=[alt.Tooltip("m:N", title="method"), *tooltip]
    )
    scale = alt.Scale(domain=[times * low, times], nice=False)
    axis = alt.Axis(title=unit, grid=True, gridColor=GRID, tickCount=6, domain=False)
    at = {name: alt.X(f"{name}:Q", scale=scale, axis=axis) for name in "abz"}
    shape = alt.Shape("w:N", scale=None)
    layers = [
        base.mark_rule(strokeWidth=1.6, yOffset=below).encode(x=at["a"], x2=alt.X2("b:Q"), color=_own_color()),
        base.mark_tick(thickness=2, size=18, color=INK, yOffset=below).encode(x=at["z"]),
        base.mark_point(size=60, strokeWidth=1.8, fill=CARD, yOffset=below).encode(
            x=at["a"], stroke=alt.Stroke("c:N", scale=None), shape=shape
        ),
        base.mark_point(size=60, filled=True, yOffset=below).encode(x=at["b"], color=_own_color(), shape=shape),
        *names,
    ]
    about = f"Recovery under {title}: {unit} before and after learning on the chip"
    data |= {"methods": methods}
    return finished(layers, data, step * len(rows), about, [style.label for style in styles])


def bounds(
    values: Sequence[Number], within: tuple[Number, Number] | None = None, *, shares: bool = True
) -> tuple[Number, Number]:
    """Return the bounds of an axis, at least 0.05 apart; bounds of `shares` are never below 0."""
    low, high = within or (min(values), max(values))
    middle, half = (low + high) / 2, max(high - low, 0.05) / 2
    low = middle - half * 1.06
    return (max(0.0, low) if shares else low), min(1.0, middle + half * 1.06)


def wrapped(text: str, most: int = 40) -> list[str]:
    """Break a text between words, or inside a word that is too long, into lines that fit a figure."""
    wide = _size(text) / max(1, len(text))
    return textwrap.wrap(text, max(1, int(most / max(1, wide))), break_on_hyphens=False)


def shortened(name: str) -> str:
    """Return the name of a class, cut to the room beside a matrix."""
    if _size(name) <= _NAME:
        return name
    kept = max(k for k in range(len(name)) if k == 1 or _size(name[:k]) <= _NAME - 1)
    return f"{name[:kept].rstrip()}…"


def _size(text: str) -> Number:
    """Return the approximate width of a text, in small letters: the font is not known."""
    wide = sum(0.7 * (letter in "MWmw@%") + 0.3 * letter.isupper() for letter in text)
    return 1.05 * cell_len(text) + wide  # some scripts have letters twice as wide


def _points(line: Line, number: int, most: int, times: int) -> list[dict[str, Any]]:
    """Return the rows of a line, values multiplied by `times`: a short line has a mark at each point, a long one at its
    end."""
    form = ".2f" if times == 100 else ".4f"
    count = len(line.points)
    chosen = sorted({round(k * (count - 1) / (most - 1)) for k in range(most)} if count > most else range(count))
    rows = []
    for k in chosen:
        (x, y), spread = line.points[k], line.spread[k] if line.spread else 0.0
        digits = 3 if times == 100 else 5
        value = round(times * y, digits)
        row = {"x": x, "y": value, "m": line.style.label, "n": number, "t": f"{times * y:{form}}"}
        if any(line.spread):
            low, high = round(times * (y - spread), digits), round(times * (y + spread), digits)
            row |= {"l": low, "h": high, "t": row["t"] + (f" ± {times * spread:{form}}" if spread else "")}
        rows.append(row | ({"p": 1} if count <= _MARKED or k == count - 1 else {}))
    return rows


def _names(styles: Sequence[SeriesStyle], notes: Sequence[str]) -> tuple[list[Chart], dict[str, Any], int, float]:
    """Return the layers of names above rows, each with its note below it, their data, the height of a row, and how far
    below its middle a bar is drawn."""
    names, wrapped_notes = [wrapped(style.label) for style in styles], [wrapped(note, 46) for note in notes]
    step = _THICK + _GAP + _LINE * (max(map(len, names), default=1) + max(map(len, wrapped_notes), default=0))
    below = (step - _GAP - _THICK) / 2
    edge = below - _THICK / 2 - 5  # the lower edge of the text above a bar
    data: dict[str, Any] = {}
    for k, (name, note) in enumerate(zip(names, wrapped_notes, strict=True)):
        data.setdefault(f"names-{len(name)}-{len(note)}", []).append({"i": k, "t": name, "s": note})
    layers: list[Chart] = []
    for where, rows in data.items():
        base = alt.Chart(alt.NamedData(where)).encode(x=alt.XValue(2), y=_rows(styles))
        text = {"align": "left", "baseline": "line-bottom", "lineHeight": _LINE}
        above, under = len(rows[0]["t"]), len(rows[0]["s"])
        top = edge - _LINE * (above + under - 1)
        layers.append(base.mark_text(**text, fontWeight=600, fontSize=12, dy=top).encode(text=alt.Text("t:N")))
        if under:
            top = edge - _LINE * (under - 1)
            layers.append(base.mark_text(**text, color=SOFT, fontSize=10.5, dy=top).encode(text=alt.Text("s:N")))
    return layers, data, step, below


def _rows(rows: Sequence[Any]) -> alt.Y:
    scale = alt.Scale(domain=list(range(len(rows))), paddingInner=0, paddingOuter=0)
    return alt.Y("i:O", axis=None, scale=scale)


def _own_color() -> alt.Color:
    return alt.Color("c:N", scale=None)


def _by_label(lines: Sequence[Line], values: Sequence[Any], channel: Any = alt.Color) -> Any:
    """Return the color, dash or mark of each line by its label."""
    by_label = dict(zip([line.style.label for line in lines], values, strict=True))
    return channel("m:N", scale=alt.Scale(domain=list(by_label), range=list(by_label.values())), legend=None)


def _picked(opacity: Number = 1) -> alt.OpacityValue:
    """Return the opacity that fades everything that is not picked in a legend."""
    return alt.OpacityValue(0.12 * opacity, condition={"test": "!picked || datum.m == picked", "value": opacity})


def _marked() -> alt.OpacityValue:
    """Return the opacity that hides points without a mark, which still have a tooltip."""
    return alt.OpacityValue(0, condition={"test": "datum.p && (!picked || datum.m == picked)", "value": 1})


def _below(xs: Sequence[Number], ticks: Sequence[str]) -> alt.Axis:
    """Return the x axis: `ticks` at 0, 1, ..., else whole numbers if all x are whole, else round numbers."""
    if ticks:
        return alt.Axis(values=list(range(len(ticks))), labelExpr=f"{_listed(ticks)}[datum.value]")
    if all(x == int(x) for x in xs):  # there is no half epoch
        first, last = int(min(xs)), int(max(xs))
        return alt.Axis(values=list(range(first, last + 1, max(1, -(-(last - first) // 8)))), format=",d")
    return alt.Axis(tickCount=6)


def _listed(texts: Sequence[str]) -> str:
    """Write texts as a Vega expression."""
    return json.dumps(list(texts), ensure_ascii=False)


def finished(layers: Sequence[Chart], data: dict[str, Any], height: Number, about: str, labels: Sequence[str]) -> Chart:
    """Return layered charts with their data, size and the common style."""
    return alt.LayerChart(
        layer=layers,
        datasets=data,
        params=[alt.VariableParameter(name=alt.ParameterName("picked"), value="")],
        width="container",
        height=height,
        description=about,
        usermeta={"labels": list(dict.fromkeys(labels))},
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        padding=2,
        config=config(),
    )
