"""Plots: charts of what was trained, as altair charts; on paper as SVG, on pages without a network."""

from onward.plots.charts import Bar, Line, bars, lines, matrix, recovery
from onward.plots.curves import Point, accuracy_by_cost, curves
from onward.plots.look import Look
from onward.plots.web import svg

__all__ = ["Bar", "Line", "Look", "Point", "accuracy_by_cost", "bars", "curves", "lines", "matrix", "recovery", "svg"]
