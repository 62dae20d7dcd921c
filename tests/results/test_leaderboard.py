"""The leaderboard and the frames below it: every row, what it is sorted by, and no two data sets in one."""

import html
import json
import re
import shutil
import statistics
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from test_results import _RECIPE, _result

from onward.algorithms import Backprop
from onward.cli import main
from onward.cli.index import summarized
from onward.cli.listing import _numbers
from onward.recipes import ROWS
from onward.results import results
from onward.results.leaderboard import slug, table, write_leaderboard
from onward.results.pages import results_page
from onward.results.summary import summary
from onward.runs.records import Row, read_records, record
from onward.storage.files import read_json, write_json


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    local = _RECIPE
    control = replace(_RECIPE, algorithm=Backprop())
    for seed, accuracy in enumerate((0.90, 0.92, 0.94)):
        record(tmp_path, _result("local", seed, accuracy, local, n_train=100))
    record(tmp_path, _result("backprop-local", 0, 0.97, control, n_train=100))
    record(tmp_path, _result("local", 0, 0.5, local, n_train=90, data_note="another copy"))
    return tmp_path


class _Table(HTMLParser):
    def __init__(self):
        super().__init__()
        self.rows: list[dict[str, tuple[str, str]]] = []
        self.at = ("", "")

    def handle_starttag(self, tag: str, attrs: list) -> None:
        told = dict(attrs)
        if tag == "tr":
            self.rows.append({})
        if tag == "td":
            self.at = (told["data-label"], told["data-value"])
            self.rows[-1][self.at[0]] = ("", self.at[1])

    def handle_data(self, data: str) -> None:
        if self.at[0] and data.strip():
            self.rows[-1][self.at[0]] = (data, self.at[1])


def _rows(html: str) -> list[dict[str, tuple[str, str]]]:
    found = _Table()
    found.feed(html)
    return found.rows[1:]


def test_a_frame_has_a_row_for_each_run(folder: Path):
    found = results(folder)
    assert len(found) == 5
    local = [row for row in found.to_dict("records") if row["recipe"] == "local"]
    accuracies = {data: [row["test_accuracy"] for row in local if row["data"] == data] for data in set(found["data"])}
    means = {data: statistics.fmean(values) for data, values in accuracies.items()}
    assert means == {"another copy": 0.5, "digits": pytest.approx(0.92)}
    assert set(found["method"]) == {"DeeperForward", "Backprop"} and list(found["seed"]) == [0, 0, 0, 1, 2]


def test_a_frame_has_the_published_number_of_today(tmp_path: Path):
    row = ROWS["asge-mnist-cpu"]
    assert row.published is not None
    record(tmp_path, _result(row.name, 0, 0.9, replace(row, published=replace(row.published, test_accuracy=0.1))))
    assert list(results(tmp_path)["published_accuracy"]) == [row.published.test_accuracy]


def test_a_summary_has_interval_and_gap_where_there_are_seeds(folder: Path):
    rows = {(row["recipe"], row["data"]): row for row in summary(read_records(folder)).to_dict("records")}
    local = rows["local", "digits"]
    assert local["accuracy"] == pytest.approx(0.92) and local["seeds"] == 3
    assert (local["low"], local["high"]) == (pytest.approx(0.8703, abs=1e-4), pytest.approx(0.9697, abs=1e-4))
    assert local["gap"] == pytest.approx(0.90 - 0.97), "paired: the one seed that both have"
    assert rows["local", "another copy"]["accuracy"] == 0.5
    assert rows["backprop-local", "digits"]["low"] != rows["backprop-local", "digits"]["low"], (
        "one seed has no interval"
    )


def test_numbers_that_are_predicted_have_their_own_metric_everywhere(folder: Path):
    for path in folder.rglob("seed-*.json"):
        write_json(path, {**read_json(path), "task": "values"})
    rows = {(row["data"][0], row["recipe"][0]): row for row in _rows(table(summary(read_records(folder))))}
    local = rows["digits", "local"]
    assert local["test %"][0] == "R2 0.9200" and local["gap"][0] == "-0.0700"
    assert local["95 %"][0] == "R2 0.8703 to R2 0.9697"
    page = results_page(folder)
    assert "R2 0.9200 ± 0.0200 | R2 0.8703 to 0.9697 | 3 " in page and "-0.0700" in page and "92.00" not in page
    listed = summarized(folder, {})["local"]
    assert (listed.task, _numbers(listed).split()[:2]) == ("values", ["R2", f"{listed.test:.4f}"])


def test_cells_carry_what_they_are_sorted_by(folder: Path):
    rows = _rows(table(summary(read_records(folder), {Row("local", "digits"): 3 * 10**12})))
    assert [(row["data"][0], row["recipe"][0]) for row in rows] == [
        ("another copy", "local"),
        ("digits", "backprop-local"),
        ("digits", "local"),
    ], "best first, within a data set"
    local = rows[2]
    assert local["test %"] == ("92.00", "0.9199999999999999") or float(local["test %"][1]) == pytest.approx(0.92)
    assert local["95 %"][0] == "87.03 to 96.97" and local["gap"][0] == "-7.00"
    assert local["operations"] == ("3.00e+12", str(3 * 10**12)) and rows[1]["operations"] == ("", "")


def test_each_data_set_has_a_chart_of_its_own_rows(folder: Path, tmp_path: Path):
    counted = {row: 10**9 for row in read_records(folder)}
    page = tmp_path / "docs" / "leaderboard.md"
    page.parent.mkdir()
    written = write_leaderboard(page, read_records(folder), counted)
    assert [path.name for path in written] == ["leaderboard.md", "leaderboard-digits.svg"], "one row needs no chart"
    text = page.read_text()
    assert "## digits" in text and "## another copy" not in text and len(_rows(text)) == 3
    assert re.findall(r"!\[.*\]\((.*)\)", text) == ["figures/leaderboard-digits.svg"]
    assert slug("CIFAR-10, 40k train, batch 5 as test") == "cifar-10-40k-train-batch-5-as-test"


def test_the_command_counts_and_writes_it(folder: Path, capsys: pytest.CaptureFixture[str]):
    page = folder / "leaderboard.md"
    assert main(["results", str(folder), "--leaderboard", str(page)]) == 0
    out = capsys.readouterr().out
    assert "counting the operations of local" in out and str(page) in out
    rows = _rows(page.read_text())
    assert all(int(row["operations"][1]) > 0 for row in rows)
    assert main(["results", str(folder), "--leaderboard", str(page)]) == 0
    assert "counting" not in capsys.readouterr().out


_BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
_PRESS = """
const orders = [], heads = [...document.querySelectorAll("th button")];
for (const k of [4, 4, 0, 5]) {
  heads[k].click();
  const rows = [...document.querySelectorAll("tbody tr")];
  orders.push(rows.map(row => `${row.cells[0].textContent} ${row.cells[4].textContent}`));
}
document.body.innerHTML = "<pre></pre>";
document.querySelector("pre").textContent = JSON.stringify(orders);
"""


@pytest.mark.skipif(_BROWSER is None, reason="needs Chromium on the PATH (Debian: apt-get install chromium)")
def test_a_press_on_a_head_sorts(folder: Path):
    assert _BROWSER is not None
    script = (Path(__file__).parents[2] / "docs" / "javascripts" / "leaderboard.js").read_text()
    page = folder / "page.html"
    page.write_text(f"<body>{table(summary(read_records(folder)))}<script>{script}{_PRESS}</script>", encoding="utf-8")
    command = [_BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    done = subprocess.run([*command, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120)
    (found,) = re.findall("<pre>(.*?)</pre>", done.stdout, re.DOTALL)
    falling, rising, by_name, by_interval = json.loads(html.unescape(found))
    assert falling == ["backprop-local 97.00", "local 92.00", "local 50.00"] and rising == falling[::-1]
    assert by_name[0] == "backprop-local 97.00" and by_interval[0] == "local 92.00", "what has no interval comes last"
