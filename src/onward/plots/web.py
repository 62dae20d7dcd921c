"""Charts in documents and pages: SVG for light and dark color schemes, and the script of an offline page."""

import json
import re
from functools import cache
from typing import Any

import altair as alt

from onward.plots.charts import Chart
from onward.plots.style import recolored


def svg(chart: Chart, *, width: int = 640) -> str:
    """Return a chart as the text of an SVG file, `width` pixels wide, in the color scheme of the reader's system."""
    import vl_convert

    document = chart.properties(width=width).to_dict()
    document["autosize"] = {"type": "pad"}
    drawn = vl_convert.vegalite_to_svg(document, vl_version=_version())
    style = f"<style>@media (prefers-color-scheme: dark) {{ {recolored('svg')} }}</style>"
    return re.sub(r"(<svg[^>]*>)", rf"\1{style}", drawn, count=1).rstrip() + "\n"


@cache
def runtime() -> str:
    """Return the script that draws charts in a browser, which takes a second or two to build."""
    import vl_convert

    script = vl_convert.javascript_bundle(vl_version=_version())  # pyright: ignore[reportCallIssue]
    return script.replace("</script", "<\\/script")


def specification(chart: Chart) -> dict[str, Any]:
    """Return a chart as Vega-Lite, without the common configuration, not validated, which takes seconds."""
    document = chart.to_dict(validate=False)
    document.pop("config", None)
    document.pop("$schema", None)
    return document


def as_script(value: Any) -> str:
    """Write a value as JSON that is safe inside a script element."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _version() -> str:
    return ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])
