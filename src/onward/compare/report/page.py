"""The page: every figure of a comparison, with its numbers, in one HTML file."""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from itertools import count

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from onward.compare.comparison import Comparison
from onward.compare.report.heading import fewest_seeds, seeds, tested
from onward.compare.report.numbers import number, percent, plain, spread, unit_of
from onward.compare.report.panels import Panel, mistakes, panels, recalls, styles_of
from onward.compare.report.verdict import points, summary, verdicts
from onward.core.metrics import MEASURES, further_metrics
from onward.costs.step import MeasuredSteps
from onward.plots.style import PARTS, config, recolored
from onward.plots.web import as_script, runtime, specification

_WIDE = 8  # columns of a table that fit a screen


def page(
    comparison: Comparison,
    *,
    measured: Sequence[MeasuredSteps] = (),
    pictures: Sequence[Panel] = (),
    title: str = "",
) -> str:
    """Return the report of a comparison as HTML. It loads nothing, and runs no script but those that draw its charts.

    `measured` are what `onward measure --json` wrote: the steps of further recipes beside their controls. `pictures`
    are panels of the runs themselves.
    """
    styles = styles_of(comparison)
    accuracy, others = panels(comparison, styles, measured)
    others += pictures
    figures = [figure for panel in (*accuracy, *others) for figure in panel.figures]
    names = " · ".join(dict.fromkeys(method.data for method in comparison.methods))
    all_verdicts = verdicts(comparison)
    templates = _templates()
    drawing = templates.get_template("draw.js").render()
    return templates.get_template("page.html").render(
        title=title or f"{len(styles)} method{'s' if len(styles) > 1 else ''} on {names}",
        comparison=comparison,
        tested=tested(comparison),
        seeds=seeds(comparison),
        fewest_seeds=fewest_seeds(comparison),
        methods=list(zip(comparison.methods, styles, strict=True)),
        accuracy=accuracy,
        others=others,
        verdicts=all_verdicts,
        wide=_WIDE,
        summary=summary(all_verdicts),
        pairs=mistakes(comparison, styles),
        recalls=recalls(comparison),
        measure=MEASURES[comparison.task],
        unit=unit_of(comparison.task).removeprefix("accuracy").lstrip(", "),
        dark=recolored(".plot"),
        parts=PARTS,
        figure_numbers=count(),
        figures=as_script([specification(figure.chart) for figure in figures]),
        config=as_script(config()),
        runtime=runtime(),
        drawing=drawing,
        scripts=f"{_runtime_digest()} {_digest(drawing)}",
    )


def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("onward.compare.report"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "further": further_metrics,
        "next": next,
        "number": number,
        "plain": plain,
        "points": points,
        "percent": percent,
        "spread": spread,
    }
    return environment


@cache
def _runtime_digest() -> str:
    return _digest(runtime())


def _digest(script: str) -> str:
    """Return the hash of a script for the page's security policy, which blocks all other scripts."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
