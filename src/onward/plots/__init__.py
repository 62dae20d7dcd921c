"""Plots: altair charts of trainings and comparisons, as SVG or in a page that works offline.

`training`, `blocks`, `goodness`, `confusion`, `mistakes` and `filters` show what was trained; the others draw plain
values.
"""

from onward.plots.charts import Bar, Line, bars, lines, matrix, recovery
from onward.plots.curves import Point, accuracy_by_cost, curves
from onward.plots.learners import confusion, filters, goodness, mistakes
from onward.plots.style import SeriesStyle
from onward.plots.trainings import blocks, training
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
    "filters",
    "goodness",
    "lines",
    "matrix",
    "mistakes",
    "recovery",
    "svg",
    "training",
]
