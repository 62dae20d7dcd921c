"""Plots: charts of what was trained, as altair charts; on paper as SVG, on pages without a network.

`training`, `blocks` and `confusion` show what was trained; the others draw plain values.
"""

from onward.plots.charts import Bar, Line, bars, lines, matrix, recovery
from onward.plots.curves import Point, accuracy_by_cost, curves
from onward.plots.style import SeriesStyle
from onward.plots.trainings import blocks, confusion, training
from onward.plots.web import svg

__all__ = [
    "Bar",
    "Line",
    "Point",
    "SeriesStyle",
    "accuracy_by_cost",
    "bars",
    "blocks",
    "confusion",
    "curves",
    "lines",
    "matrix",
    "recovery",
    "svg",
    "training",
]
