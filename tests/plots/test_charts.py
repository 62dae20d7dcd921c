"""Charts: valid Vega-Lite of plain values; nothing leaves its frame; SVG that turns dark with its reader."""

import re
from pathlib import Path
from xml.etree import ElementTree

import altair as alt
import pytest

from onward.plots import Bar, Line, Point, SeriesStyle, accuracy_by_cost, bars, curves, lines, matrix, recovery, svg
from onward.plots.charts import bounds, shortened, wrapped
from onward.plots.curves import BACKPROP, KINDS
from onward.plots.style import CONTROL, DARK, OWN

_LOOK = SeriesStyle("a", 0, False)


def _valid(chart: alt.Chart | alt.LayerChart) -> dict:
    return chart.to_dict(validate=True)


def test_lines_have_their_points_in_percent_and_whole_numbers_below():
    chart = _valid(lines([Line(_LOOK, tuple((float(e), e / 10) for e in range(1, 4)))], "epochs"))
    points = chart["datasets"]["points"]
    assert [(row["x"], row["y"], row["p"]) for row in points] == [(1, 10, 1), (2, 20, 1), (3, 30, 1)]
    assert chart["layer"][0]["encoding"]["x"]["axis"]["values"] == [1, 2, 3]
    many = _valid(lines([Line(_LOOK, tuple((float(e), 0.5) for e in range(1000)))], "epochs"))["datasets"]["points"]
    assert len(many) == 150 and (many[0]["x"], many[-1]["x"]) == (0, 999)
    assert [row["x"] for row in many if "p" in row] == [999], "a long curve has a mark at its end alone"
    assert _valid(lines([], "epochs"))["datasets"]["points"] == []


def test_axes_reach_over_all_values_and_stay_fractions():
    assert bounds([0.2, 0.99])[0] < 0.2 and bounds([0.2, 0.99])[1] == 1.0
    low, high = bounds([0.5, 0.5])
    assert low < 0.5 < high and bounds([0.0])[0] == 0.0
    assert bounds([0.5], (0.0, 0.9)) == bounds([0.0, 0.9])


def test_levels_of_noise_are_words_below_the_axis_and_chance_is_a_line():
    chart = _valid(lines([Line(_LOOK, ((0.0, 0.9), (1.0, 0.2)))], "bits", ticks=("clean", "it's"), floor=0.5))
    axes = [layer["encoding"]["x"]["axis"] for layer in chart["layer"] if "x" in layer["encoding"]]
    assert axes[0]["labelExpr"] == '["clean", "it\'s"][datum.value]'
    assert chart["datasets"]["floor"] == [{"y": 50}]
    assert "floor" not in str(_valid(lines([], "bits", floor=0.9))["layer"])


def test_bars_are_cut_into_parts_that_add_up():
    two = [
        Bar(_LOOK, ((0, 3.0), (1, 2.0)), "5 MB"),
        Bar(SeriesStyle("b " * 60, 1, False), ((0, 0.0),), "none", "a note"),
    ]
    chart = _valid(bars(two, "MB", kinds=("p", "q")))
    assert [(row["a"], row["b"], row["k"]) for row in chart["datasets"]["parts"]] == [(0, 3, "p"), (3, 5, "q")]
    assert [row["t"] for row in chart["datasets"]["values"]] == ["5 MB", "none"]
    (long,) = chart["datasets"]["names-4-1"]
    assert " ".join(long["t"]) == ("b " * 60).strip() and long["s"] == ["a note"]
    assert _valid(bars([], "MB"))["datasets"]["parts"] == []


def test_a_matrix_has_a_cell_for_what_was_counted():
    chart = _valid(matrix(_LOOK, ["a", "b"], [[3, 1], [0, 0]]))
    found = [tuple(cell.values()) for cell in chart["datasets"]["cells"]]
    assert found == [(0, 0, 3, 75), (0, 1, 1, 25)], "true class, taken for, images, percent"
    assert {"as": "true", "calculate": '["a", "b"][datum.r]'} in chart["layer"][0]["transform"]


def test_recovery_shows_before_after_and_without_the_chip():
    (row,) = _valid(recovery([(_LOOK, 0.7, 0.9, 0.95, "held 3 MB")]))["datasets"]["methods"]
    assert (row["a"], row["b"], row["z"]) == (70, 90, 95)


def test_long_names_are_broken_or_shortened():
    assert wrapped("deeper_forward (epochs 1, width 50, learning rate 0.001)") == [
        "deeper_forward (epochs 1, width 50,",
        "learning rate 0.001)",
    ]
    assert [len(line) for line in wrapped("x" * 90)] == [38, 38, 14] and wrapped("") == []
    assert all(len(line) <= 20 for line in wrapped("漢" * 50)) and "".join(wrapped("漢" * 50)) == "漢" * 50
    assert shortened("b") == "b" and shortened("a name that is rather long") == "a name that…"


def test_a_look_is_one_of_a_method_everywhere():
    assert [SeriesStyle("m", k, False).color for k in (0, 1, 8)] == [OWN[0], OWN[1], OWN[0]]
    control = SeriesStyle("backprop", 1, True)
    assert control.color not in OWN and control.dash != SeriesStyle("m", 1, False).dash
    assert len(set(DARK)) == len(DARK) and all(re.fullmatch("#[0-9a-f]{6}", color) for color in (*DARK, *DARK.values()))


@pytest.mark.parametrize("width", [300, 640])
def test_svg_is_an_image_of_that_width_light_and_dark(width: int):
    text = svg(lines([Line(_LOOK, ((0.0, 0.2), (1.0, 0.99)), (0.1, 0.1))], "sigma"), width=width)
    root = ElementTree.fromstring(text)
    assert text.endswith("</svg>\n")  # as text files end
    assert root.tag == "{http://www.w3.org/2000/svg}svg" and width < float(root.attrib["width"]) < width + 60
    assert f'stroke="{OWN[0]}"' in text and f'[stroke="{OWN[0]}"] {{ stroke: {DARK[OWN[0]]}; }}' in text


def test_curves_may_fall():
    chart = _valid(curves([Line(_LOOK, ((8, 1.0), (16, 2.0)))], "layers", "lost", ticks=(8, 16), falling=True))
    encoding = chart["layer"][0]["encoding"]
    assert encoding["x"]["axis"]["values"] == [8, 16] and encoding["y"]["scale"]["reverse"] is True


def test_an_interval_is_drawn_where_there_is_one():
    one = Point("a", 1e12, 0.9, None, None, KINDS[0])
    two = Point("b", 1e13, 0.95, 0.94, 0.96, BACKPROP)
    assert len(_valid(accuracy_by_cost([one], "operations"))["layer"]) == 1
    chart = _valid(accuracy_by_cost([one, two], "operations"))
    assert len(chart["layer"]) == 2
    first, second = chart["datasets"]["trainings"]
    assert chart["layer"][0]["encoding"]["color"]["scale"] == {
        "domain": [KINDS[0], BACKPROP],
        "range": [OWN[0], CONTROL],
    }
    assert "l" not in first and (second["l"], second["h"], second["y"]) == (94, 96, 95)


def test_figures_of_the_documentation_are_those_of_the_benchmarks():
    text = (Path(__file__).parents[2] / "docs" / "figures" / "activations_by_depth.svg").read_text()
    assert "onward" not in text and DARK[OWN[0]] in text and "equal layers" in text
