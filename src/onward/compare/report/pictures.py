"""Panels of the first run of each method: goodness by block, its worst mistakes and its first filters."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from onward.compare.comparison import Comparison
from onward.compare.report.panels import Figure, Panel, styles_of
from onward.plots.charts import Chart
from onward.plots.learners import filters, goodness, mistakes
from onward.runs.loading import images_again, open_model

_MOST = 2000
"""Test images that are looked at."""
_ABOUT = {
    "goodness": (
        "Goodness of right and wrong labels",
        "Of the right label and the best wrong one, by block, in standard deviations from the block's mean over all "
        "labels. The bar covers the middle half of the test images, the line the middle four fifths.",
    ),
    "worst": (
        "Worst mistakes",
        "Test images whose wrong class exceeds the right one by most; below each its class and the predicted one.",
    ),
    "filters": ("Filters of the first layer", "Each from its smallest weight (dark) to its largest (bright)."),
}


def pictures(comparison: Comparison, data_dir: Path | None = None) -> list[Panel]:
    """Return the panels, drawn from the folders of runs; a chart that a method cannot have is left out.

    Test images are the first 2,000.
    """
    figures: dict[str, list[Figure]] = {name: [] for name in _ABOUT}
    for method, style in zip(comparison.methods, styles_of(comparison), strict=True):
        for name, draw in _charts(Path(method.runs[0]), data_dir).items():
            try:
                figures[name].append(Figure(style.label, "", draw(), tall=name != "goodness"))
            except ValueError:
                continue  # nothing was mistaken, no class is scored, or no layer is on images
    return [Panel(name, *_ABOUT[name], shown) for name, shown in figures.items() if shown]


def _charts(run: Path, data_dir: Path | None) -> dict[str, Callable[[], Chart]]:
    """Return how each chart of a run is drawn."""
    learner, recipe, folder = open_model(run)
    if recipe is None or learner.task != "classes":
        return {}
    test = images_again(folder, recipe, data_dir).test.sample
    images, labels = test.pixels[:_MOST], test.labels[:_MOST]
    return {
        "goodness": partial(goodness, learner, images, labels),
        "worst": partial(mistakes, learner, images, labels),
        "filters": partial(filters, learner),
    }
