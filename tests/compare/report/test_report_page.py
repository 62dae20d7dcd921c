"""The page: whole, small, without a network, and right about its numbers; verdicts by hand."""

import base64
import hashlib
import html as entities
import json
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import altair as alt
import pytest
from report_toys import comparison, cost, costs, read

from onward.compare.report import page, summary, verdicts
from onward.compare.report.heading import control_names, title
from onward.compare.report.numbers import number, plain
from onward.compare.report.panels import panels, styles_of, worst_pairs
from onward.costs.step import MeasuredSteps
from onward.plots.web import runtime
from onward.storage.typed import from_json

LIMIT = 2 * 10**6


class _Structure(HTMLParser):
    """Checks that tags close in order; notes what could load something, and the titles of figures."""

    def __init__(self):
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.figures = 0

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.loads += [value for name, value in attrs if name in ("src", "href", "xlink:href", "action")]
        self.figures += tag == "figure"
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@cache
def _whole() -> str:
    return page(read(comparison()))


def _parsed(html: str) -> _Structure:
    found = _Structure()
    found.feed(html)
    assert found.open == []
    return found


def _charts(html: str) -> list[dict]:
    """The charts of a page, as it holds them for whoever reads it with a program."""
    (text,) = re.findall(r'<script type="application/json" id="figures">(.*?)</script>', html, re.DOTALL)
    charts = json.loads(text)
    assert re.findall(r'data-figure="(\d+)"', html) == [str(k) for k in range(len(charts))]
    return charts


def _section(html: str, name: str) -> list[dict]:
    """The charts below a heading."""
    (section,) = re.findall(rf'<section id="{name}">.*?</section>', html, re.DOTALL)
    charts = _charts(html)
    return [charts[int(k)] for k in re.findall(r'data-figure="(\d+)"', section)]


def _lines(chart: dict) -> dict[int, list[dict]]:
    found: dict[int, list[dict]] = {}
    for row in chart["datasets"]["points"]:
        found.setdefault(row["n"], []).append(row)
    return found


def test_a_page_is_whole_and_loads_nothing():
    html = _whole()
    found = _parsed(html)
    assert html.lstrip().startswith("<!doctype html>")
    assert found.loads == ["data:,"]
    own = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    assert "url(" not in own and "@import" not in own and "http://" not in own and "onclick" not in own
    for name in (
        "claims",
        "summary",
        "noise",
        "devices",
        "recovery",
        "cost",
        "energy",
        "blocks",
        "curves",
        "block-curves",
        "confusion",
    ):
        assert f'<section id="{name}">' in html, name
    assert found.figures == 2 + 1 + 1 + 3 + 3 + 1 + 2 + 2 + 3
    charts = _charts(html)
    assert len(charts) == found.figures and all(chart["description"] for chart in charts)
    assert sum(len(_lines(chart)) for chart in charts if "points" in chart["datasets"]) == 3 + 3 + 2 + 3 + 3 + 3 + 3
    assert "prefers-color-scheme: dark" in html and "@media print" in html and 'name="viewport"' in html
    assert len(html.encode()) < LIMIT


def test_no_other_script_can_run():
    html = _whole()
    (allowed,) = re.findall(
        r"default-src 'none'; style-src 'unsafe-inline'; script-src ([^;]*);", entities.unescape(html)
    )
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert scripts[0] == runtime() and len(scripts) == 2
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert allowed == " ".join(f"'sha256-{digest}'" for digest in digests)


def test_every_chart_is_valid_and_names_its_methods():
    found = comparison()
    for panel in (panel for some in panels(read(found), styles_of(read(found)), ()) for panel in some):
        for figure in panel.figures:
            assert alt.Chart.from_dict(figure.chart.to_dict(validate=True)), figure.title
    for chart in _section(page(read(found)), "noise"):
        assert chart["usermeta"]["labels"] == ["backprop", "local1", "local2"]


def test_accuracy_comes_first_then_robustness():
    html = _whole()
    order = re.findall(r'<section id="([\w-]+)">', html)
    first = ["summary", "curves", "blocks", "block-curves", "claims", "noise", "devices", "recovery"]
    assert order[: len(first)] == first, order


def test_accuracy_of_each_block_is_drawn_over_epochs():
    found = comparison(methods=2)
    found["methods"][1]["curves"] = [
        [{**row, "block_accuracy": [0.1, 0.2 + shift, 0.3]} for row in curve]
        for shift in (0.0, 0.1)
        for curve in found["methods"][1]["curves"]
    ]
    (chart,) = _section(page(read(found)), "block-curves")
    assert chart["usermeta"]["labels"] == ["block 1", "block 2", "block 3"]
    assert [row["y"] for row in _lines(chart)[1]] == [25.0] * 3, "a mean over seeds, at every epoch"
    many = [{**row, "block_accuracy": [k / 40 for k in range(20)]} for row in found["methods"][1]["curves"][0]]
    found["methods"][1]["curves"] = [many]
    (chart,) = _section(page(read(found)), "block-curves")
    labels = chart["usermeta"]["labels"]
    assert len(labels) == len(_lines(chart)) == 8 and (labels[0], labels[-1]) == ("block 1", "block 20")
    found["methods"][1]["curves"] = [[{**row, "block_accuracy": []} for row in many], []]
    assert "block-curves" not in page(read(found))


def test_no_long_name_is_lost():
    found = comparison()
    found["methods"][1]["class_names"][0] = "x" * 60
    chart = _section(page(read(found)), "confusion")[1]
    assert "x" * 60 in str(chart["layer"][0]["transform"])


def test_text_is_text():
    found = comparison()
    found["methods"][1]["label"] = "</script><b>x</b>"
    html = page(read(found))
    _parsed(html)
    assert "a &lt;b&gt;method&lt;/b&gt; &amp; more" in html and "<b>method" not in html and "<b>x" not in html


def test_numbers_are_where_they_belong():
    html = _whole()
    assert "95.00" in html and "epochs 5" in html and "not reached" in html
    assert "preliminary: fewer than five seeds" in html
    chart = _section(html, "noise")[0]
    assert [row["t"] for row in _lines(chart)[1]] == ["94.00", "89.00 ± 0.40", "84.00 ± 0.40"]
    assert [(row["l"], row["h"]) for row in _lines(chart)[1]] == [(94.0, 94.0), (88.6, 89.4), (83.6, 84.4)]
    (memory, *_) = _section(html, "cost")
    assert [row["t"] for row in memory["datasets"]["values"]] == ["21.0 MB", "10.5 MB", "10.5 MB", "16.8 MB", "14.7 MB"]


def test_what_was_not_asked_is_left_out():
    found = comparison(methods=1)
    found |= {"sweeps": [], "controls": [], "stream": None}
    del found["peak_rate"]
    for method in found["methods"]:
        method |= {"noise": [], "recovery": [], "curves": [[]]}
        del method["cost"], method["energy"]
    html = page(read(found))
    _parsed(html)
    for name in ("claims", "noise", "devices", "recovery", "cost", "energy", "curves", "blocks"):
        assert f'<section id="{name}">' not in html, name
    assert '<section id="confusion">' in html


def test_many_methods_and_many_classes_stay_small():
    html = page(read(comparison(methods=16, classes=200)))
    _parsed(html)
    assert '<section id="mistakes">' in html and not any("Confusion" in chart["description"] for chart in _charts(html))
    assert len(html.encode()) < LIMIT
    found = comparison(methods=16, classes=20)
    for method in found["methods"]:
        method["curves"] = [
            [method["curves"][0][0] | {"train_seconds": 61.7 * e} for e in range(300)] for _ in range(3)
        ]
    assert len(page(read(found)).encode()) < LIMIT


def test_methods_may_have_other_classes():
    found = comparison()
    found["methods"][1] = comparison(methods=2, classes=30)["methods"][1]
    html = page(read(found))
    _parsed(html)
    assert (
        sum("Confusion" in chart["description"] for chart in _charts(html)) == 2 and html.count("taken for</th>") == 1
    )


def test_measured_steps_are_added():
    steps = {
        "recipe": "asge-cifar10",
        "batch_size": 8,
        "data": "random",
        "precision": "bf16",
        "environment": {"device": "x", "platform": "y", "versions": {}, "threads": 1, "commit": None},
        "peak_rate": {"matmul": 1.0, "convolution": 1.0},
        "contenders": [cost("ASGE", 0.3), cost("backprop", 1.0)],
    }
    html = page(read(comparison()), measured=[from_json(steps, MeasuredSteps, "steps")])
    _parsed(html)
    assert "Memory and time: asge-cifar10" in html


def test_verdicts_are_those_of_the_numbers():
    found = comparison()
    first, second, *_ = verdicts(read(found))
    assert (first.method, second.method, first.control) == ("local1", "local2", "backprop")
    assert first.lost == pytest.approx((0.05 + 0.1) / 2) and first.control_lost == pytest.approx(0.0)
    chips, images = (0.004**2 * 2.5 / 5), (0.075 + 1e-4) / 10_000
    assert first.error == pytest.approx((2 * chips + images) ** 0.5, rel=1e-6)
    assert first.word == "less" and "less robust by 7.5" in str(first)
    assert "84.0 % and 95.0 %" in str(first)
    assert summary(verdicts(read(found))).startswith("No. In 6 comparisons with backprop")
    assert summary([]) == "" and verdicts(read(comparison(methods=1))) == []


def test_seeds_that_differ_more_than_chips_make_the_error_larger():
    found = comparison(methods=2)
    for method in found["methods"]:
        method["clean"] |= {"values": [[0.9], [0.9]]}
        for row in method["noise"]:
            row |= {"values": [[0.8] * 5, [0.7] * 5] if not method["backprop"] else [[0.9] * 5] * 2}
    first = verdicts(read(found))[0]
    assert first.lost == pytest.approx(0.15) and first.control_lost == pytest.approx(0)
    assert first.error == pytest.approx((0.05**2 + (0.15 + 1e-4) / 10_000) ** 0.5)


def test_a_verdict_can_be_for_a_method_or_open():
    found = comparison(methods=2)
    control, method = found["methods"]
    control["noise"], method["noise"] = method["noise"], control["noise"]
    method["clean"] = control["clean"]
    assert {verdict.word for verdict in verdicts(read(found))} == {"more"}
    assert summary(verdicts(read(found))).startswith("Yes.")
    found["test_images"] = 20
    assert {verdict.word for verdict in verdicts(read(found))} == {"same"}


def test_a_verdict_is_for_one_data_set():
    found = comparison()
    control, first, second = found["methods"]
    first["data"] = "mnist"
    assert {verdict.method for verdict in verdicts(read(found))} == {"local2"}
    for row, checksum in ((control, "a"), (first, "a"), (second, "b")):
        row |= {"data": "folder", "data_checksum": checksum}
    assert {verdict.method for verdict in verdicts(read(found))} == {"local1"}
    other = control | {"name": "backprop-other", "label": "other", "data_checksum": "b", "network": "MLP()"}
    found["methods"].append(other)
    assert {(v.method, v.control) for v in verdicts(read(found))} == {("local1", "backprop"), ("local2", "other")}
    html = page(read(found))
    _parsed(html)
    assert "beside other, another network</small>" in html


def test_a_verdict_counts_the_images_of_its_own_methods():
    found = comparison(methods=2)
    found["methods"].insert(0, comparison()["methods"][2] | {"data": "mnist", "test_images": 10_000})
    for row in found["methods"][1:]:
        row["test_images"] = 20
    (first, *_) = verdicts(read(found))
    images = (0.075 + 0.05) / 20
    assert first.method == "local1" and first.error == pytest.approx((2 * 0.004**2 * 0.5 + images) ** 0.5, rel=1e-6)
    assert first.word == "same"


def test_a_verdict_says_in_what_its_control_differs():
    found = comparison(methods=2)
    control, method = found["methods"]
    assert {verdict.unlike for verdict in verdicts(read(found))} == {()}
    control |= {"epochs": 9, "batch_size": 32, "precision": "bf16", "validation_split": [0.1, 0]}
    method["validation_split"] = [0.1, 1]
    said = "another validation split; epochs 9, not 3; batch size 32, not 64; precision bf16, not fp32"
    assert f"backprop ({said}) 0.0" in str(verdicts(read(found))[0])
    assert f"beside backprop, {said.replace('; ', ', ')}</small>" in page(read(found))
    near = control | {"label": "near", "epochs": 3}
    found["methods"].append(near)
    assert {verdict.control for verdict in verdicts(read(found))} == {"near"}


def test_titles_are_those_of_all_methods():
    found = comparison()
    assert title(read(found)) == "10,000 test images of digits, 1 seed" and "10,000 test images · 1 seed ·" in page(
        read(found)
    )
    found["methods"][1] |= {"data": "mnist", "test_images": 360, "seeds": [0, 1, 2, 3, 4]}
    found["seeds"] = found["methods"][1]["seeds"]
    assert title(read(found)) == "10,000 test images of digits and 360 of mnist, 1 to 5 seeds"
    html = page(read(found))
    assert "10,000 test images of digits and 360 of mnist · 1 to 5 seeds" in html and "fewer than five" in html
    assert "the dotted line is chance" in html
    found["methods"][1] = comparison(methods=2, classes=30)["methods"][1]
    assert "the dotted line is chance" not in page(read(found))


def test_controls_are_named_by_the_whole_network_and_what_differs():
    controls = [
        cost("backprop", 1.0) | {"network": net, "batch_size": batch, "precision": "fp32"}
        for net, batch in (("MLP(width=1000)", 64), ("MLP(width=2000)", 64), ("MLP(width=2000)", 128))
    ]
    names, legend = control_names(costs(controls[:2]))
    assert names == ["backprop [1]", "backprop [2]"]
    assert legend == ["[1] trains MLP(width=1000)", "[2] trains MLP(width=2000)"]
    assert control_names(costs(controls))[1][2] == "[3] trains MLP(width=2000), batch 128"
    controls[1] |= {"precision": "bf16"}
    names, legend = control_names(costs(controls))
    assert legend[1] == "[2] trains MLP(width=2000), batch 64, bf16"
    html = page(read(comparison() | {"controls": controls}))
    assert all(text in html for text in (*names, *legend))
    names, legend = control_names(costs(controls[:1] * 2))
    assert names == ["backprop", "backprop"] and legend == ["backprop trains MLP(width=1000)"]
    assert control_names(costs([])) == ([], []) and "backprop [1]" not in _whole()


def test_infinitely_many_photons_are_drawn():
    found = comparison(methods=2)
    found["sweeps"][1]["levels"][0] = "inf"
    for method in found["methods"]:
        method["noise"][2]["level"] = "inf"
    html = page(read(found))
    _parsed(html)
    assert "<th>inf</th>" in html
    assert [plain(value) for value in ("inf", float("inf"))] == ["inf", "inf"] and number(float("inf")) == "inf"
    found["sweeps"] = [found["sweeps"][1] | {"levels": ["inf"]}]
    assert "At Weight bits inf:" in str(verdicts(read(found))[0])


def test_who_has_little_has_little_to_lose():
    found = comparison(methods=2)
    control, method = found["methods"]
    for row, clean, noisy in ((control, 0.9, 0.8), (method, 0.15, 0.1)):
        none = {"chip_deviation": None, "seed_deviation": None}
        row["clean"] = {"mean": clean, **none, "values": [[clean]]}
        row["noise"] = [{"sweep": "bits", "level": 3.0, "mean": noisy, **none, "values": [[noisy]]}]
    found["sweeps"] = [sweep | {"levels": [3.0]} for sweep in found["sweeps"] if sweep["name"] == "bits"]
    (verdict,) = verdicts(read(found))
    assert verdict.gap > 5 * verdict.error
    assert (verdict.share, verdict.control_share) == (pytest.approx(1), pytest.approx(1 / 8))
    assert verdict.word == "same"
    assert "ahead of backprop in 0" in summary([verdict])


def test_numbers_are_short():
    assert [number(v) for v in (0, 0.5, 12.34, 1234.5, 1e-7)] == ["0", "0.500", "12.3", "1,234", "1e-07"]
    assert [plain(v) for v in (0.0, 0.05, 1000.0, 7.5)] == ["0", "0.05", "1,000", "7.5"]
    assert worst_pairs(["a", "b"], [[3, 1], [0, 0]]) == [("a", "b", 1, 0.25)]


@pytest.mark.parametrize("name", ["cifar10-fast", "fashion_mnist-shared"])
def test_the_page_of_a_comparison_on_record_can_be_drawn(name: str):
    """An older one, that did not note all that one of today does."""
    path = Path(__file__).parents[3] / "results" / "comparisons" / f"{name}.json"
    found = json.loads(path.read_text())
    html = page(read(found))
    _parsed(html)
    assert len(_section(html, "confusion")) == len(found["methods"]) and len(html.encode()) < LIMIT


def test_the_page_lists_the_recall_of_each_class():
    html = page(read(comparison(methods=2, classes=3)))
    _parsed(html)
    (section,) = re.findall(r'<section id="classes">.*?</section>', html, re.DOTALL)
    assert re.findall(r"<th scope=\"row\">(.*?)</th>", section) == ["class 0", "class 1", "class 2"]
    assert section.count(">95.00<") == 6 and ">100<" in section
    many = comparison(methods=1, classes=30)
    many["methods"][0]["confusion"][7] = [0] * 7 + [50] + [50] + [0] * 21
    (section,) = re.findall(r'<section id="classes">.*?</section>', page(read(many)), re.DOTALL)
    names = re.findall(r"<th scope=\"row\">(.*?)</th>", section)
    assert names[0] == "class 7" and len(names) == 20 and "that fare worst" in section


@pytest.mark.parametrize(("task", "metrics"), [("values", {"mse": 2.5}), ("labels", {"f1": 0.5})])
def test_a_page_of_another_task_has_its_own_metric_alone(task: str, metrics: dict[str, float]):
    found = comparison(methods=2)
    for method in found["methods"]:
        method |= {"task": task, "confusion": [], "metrics": metrics}
    html = page(read(found))
    _parsed(html)
    told = html.partition("<h1>")[2].partition('<script type="application/json"')[0].lower()
    assert "accuracy" not in told.partition('<section id="claims">')[0]
    assert ("r2 under noise" if task == "values" else "exact match under noise") in told
    axes = [
        layer["encoding"]["y"]["scale"]["domain"] for chart in _section(html, "noise") for layer in chart["layer"][-1:]
    ]
    assert all(high <= (1 if task == "values" else 100) for _, high in axes)
    assert ('<section id="claims">' in html) == (task == "labels")
