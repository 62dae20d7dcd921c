"""The page in a real browser: no complaint on the console, every figure drawn, nothing wider than a phone."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from report_toys import comparison

from onward.report import page

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium on the PATH (Debian: apt-get install chromium)")

# Runs in the page around the report: only there may a script run.
_LOOK = """
<script>
addEventListener("load", () => {
  const inside = document.querySelector("iframe").contentDocument;
  const figures = [...inside.querySelectorAll("figure")].map(f => {
    const box = f.querySelector("svg").getBoundingClientRect();
    const marks = f.querySelectorAll("svg rect, svg polyline, svg path, svg circle").length;
    return {title: f.querySelector("figcaption").textContent, width: box.width, height: box.height, marks};
  });
  const root = inside.documentElement, style = inside.defaultView.getComputedStyle(inside.body);
  const found = {figures, wide: root.scrollWidth, ground: style.backgroundColor, ink: style.color};
  document.body.innerHTML = "<pre id=found></pre>";
  document.getElementById("found").textContent = JSON.stringify(found);
});
</script>
"""


def _run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    assert BROWSER is not None
    command = [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    done = subprocess.run(
        [*command, f"--user-data-dir={folder / 'profile'}", *words], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done


def _console(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def _look(folder: Path, report: str, width: int, *words: str) -> dict:
    """Open a report in a frame of this width and return what is to be seen there."""
    around = folder / "around.html"
    frame = f'<iframe style="width:{width}px;height:900px;border:0" srcdoc="{html.escape(report)}"></iframe>'
    around.write_text(f"<!doctype html><meta charset=utf-8><body>{frame}{_LOOK}", encoding="utf-8")
    done = _run(folder, "--dump-dom", *words, around.as_uri())
    assert _console(done) == []
    (found,) = re.findall(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    return json.loads(html.unescape(found))


def test_it_opens_without_a_complaint(tmp_path: Path):
    path = tmp_path / "report.html"
    path.write_text(page(comparison()), encoding="utf-8")
    assert path.stat().st_size < 3 * 10**6
    done = _run(tmp_path, "--dump-dom", path.as_uri())
    assert _console(done) == []
    assert done.stdout.count("<figure>") == 16


@pytest.mark.parametrize("width", [360, 1200])
def test_every_figure_is_drawn_and_fits(tmp_path: Path, width: int):
    found = _look(tmp_path, page(comparison()), width)
    assert len(found["figures"]) == 16
    for figure in found["figures"]:
        assert figure["width"] > 200 and figure["height"] > 60, figure
        assert figure["marks"] > 0, figure
    assert found["wide"] <= width


def test_it_is_light_and_dark(tmp_path: Path):
    light = _look(tmp_path, page(comparison()), 800, "--blink-settings=preferredColorScheme=1")
    dark = _look(tmp_path, page(comparison()), 800, "--blink-settings=preferredColorScheme=0")

    def brightness(colour: str) -> float:
        return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3

    assert brightness(light["ground"]) > 200 > 100 > brightness(light["ink"])
    assert brightness(dark["ground"]) < 60 < 180 < brightness(dark["ink"])


def test_a_complaint_would_be_seen(tmp_path: Path):
    broken = page(comparison()).replace("</body>", "<script>nothing()</script></body>")
    path = tmp_path / "broken.html"
    path.write_text(broken, encoding="utf-8")
    assert _console(_run(tmp_path, "--dump-dom", path.as_uri()))
