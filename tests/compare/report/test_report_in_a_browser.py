"""The page in a real browser: no complaint on the console, every chart drawn, nothing wider than a phone."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from report_toys import comparison, cost, read

from onward.compare.report import page

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium on the PATH (Debian: apt-get install chromium)")

_QUIET = [
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# Runs in the page around the report, as the report itself lets no other script run than its own.
_LOOK = """
<script>
const wait = () => {
  const inside = document.querySelector("iframe").contentDocument;
  if (inside.documentElement.dataset.drawn !== "yes") return setTimeout(wait, 50);
  const act = ACT;
  if (act) act(inside);
  setTimeout(() => look(inside), act ? 500 : 0);
};
addEventListener("load", wait);
const look = inside => {
  const figures = [...inside.querySelectorAll("figure")].map(f => {
    const box = f.querySelector("div.plot svg").getBoundingClientRect();
    const drawn = ["rect", "line", "symbol"].map(kind => `div.plot svg .mark-${kind} path`).join(", ");
    const marks = f.querySelectorAll(drawn).length;
    return {title: f.querySelector("figcaption").textContent, width: box.width, height: box.height, marks};
  });
  const root = inside.documentElement, style = inside.defaultView.getComputedStyle(inside.body);
  const box = e => e.getBoundingClientRect(), near = 1.5;
  const name = e => `${e.tagName} ${e.className.baseVal ?? e.className}: ${e.textContent.trim().slice(0, 40)}`;
  const within = (e, around) => box(e).left >= box(around).left - near && box(e).right <= box(around).right + near
    && box(e).top >= box(around).top - near && box(e).bottom <= box(around).bottom + near;
  const cards = ".card, figure", out = [];
  for (const e of inside.querySelectorAll("body *:not(svg *)"))
    if (e.clientWidth && e.scrollWidth > e.clientWidth + near) out.push(`wider than its place: ${name(e)}`);
  for (const e of inside.querySelectorAll("figure text, button, figcaption, th, td, li, dt, dd, h3")) {
    const card = e.closest(cards);
    if (card && box(e).width && !within(e, card)) out.push(`leaves its card: ${name(e)}`);
    if (box(e).width && box(e).right > root.clientWidth + near) out.push(`out of sight: ${name(e)}`);
  }
  const texts = [...inside.querySelectorAll("figure text")].length;
  const lines = [...inside.querySelectorAll("#noise .mark-line path")];
  const faint = lines.filter(e => e.getAttribute("opacity") < 0.5).length;
  const text = inside.querySelector("figure text"), line = lines.at(-1);
  const found = {figures, out, texts, faint, wide: root.scrollWidth, ground: style.backgroundColor, ink: style.color,
    label: inside.defaultView.getComputedStyle(text).fill, line: inside.defaultView.getComputedStyle(line).stroke};
  document.body.innerHTML = "<pre id=found></pre>";
  document.getElementById("found").textContent = JSON.stringify(found);
};
</script>
"""


def _run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    assert BROWSER is not None
    command = [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", *_QUIET]
    command.append("--virtual-time-budget=20000")
    done = subprocess.run(
        [*command, f"--user-data-dir={folder / 'profile'}", *words], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done


def _console(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def _look(folder: Path, report: str, width: int, *words: str, act: str = "null") -> dict:
    """Open a report in a frame of this width, do something there, and return what is to be seen."""
    around = folder / "around.html"
    frame = f'<iframe style="width:{width}px;height:900px;border:0" srcdoc="{html.escape(report)}"></iframe>'
    around.write_text(f"<!doctype html><meta charset=utf-8><body>{frame}{_LOOK.replace('ACT', act)}", encoding="utf-8")
    done = _run(folder, "--dump-dom", *words, around.as_uri())
    assert _console(done) == []
    (found,) = re.findall(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    return json.loads(html.unescape(found))


def test_it_opens_without_a_complaint(tmp_path: Path):
    path = tmp_path / "report.html"
    path.write_text(page(read(comparison())), encoding="utf-8")
    assert path.stat().st_size < 2 * 10**6
    done = _run(tmp_path, "--dump-dom", path.as_uri())
    assert _console(done) == []
    assert done.stdout.count("<figure>") == 18 and 'data-drawn="yes"' in done.stdout


@pytest.mark.parametrize("width", [360, 1200])
def test_every_figure_is_drawn_and_fits(tmp_path: Path, width: int):
    found = _look(tmp_path, page(read(comparison())), width)
    assert len(found["figures"]) == 18
    for figure in found["figures"]:
        assert figure["width"] > 200 and figure["height"] > 60, figure
        assert figure["marks"] > 0, figure
    assert found["wide"] <= width


def _with_long_names() -> dict:
    """A comparison with everything that is long: labels, notes, controls, classes, levels of noise, names of runs."""
    found = comparison()
    found["methods"][1]["label"] = "deeper_forward (epochs 1, width 50, learning rate 0.001, batch size 64)"
    found["methods"][2]["label"] = "x" * 70
    for method in found["methods"]:
        method["class_names"] = ["airplane", "a class that nobody can read aloud", "W" * 40, *method["class_names"][3:]]
        method["runs"] = ["runs/" + "y" * 120]
        method["cost"]["energy"]["measured"] = {
            "joules": 0.01,
            "idle_watts": 1.0,
            "seconds": 1.0,
            "meter": "codecarbon, thermal design power, constant",
        }
        method["differs"] = ["network " + "z" * 90]
    found["controls"] = [
        cost(name, 0.8) | {"network": network, "batch_size": 64, "images": "1x8x8 of 10 classes"}
        for network in ("TinyCNN(channels=(32, 64, 128, 256, 512), dropout=0.1, kernel=3)", "MonoCNN(width=50)")
        for name in ("backprop, recompute", "backprop, 4 micro-batches")
    ]
    bits = next(sweep for sweep in found["sweeps"] if sweep["name"] == "bits")
    bits["levels"] = [float(level) for level in range(16, 2, -1)]
    for method in found["methods"]:
        row = next(row for row in method["noise"] if row["sweep"] == "bits")
        others = [row for row in method["noise"] if row["sweep"] != "bits"]
        method["noise"] = [*others, *({**row, "level": level} for level in bits["levels"])]
    return found


@pytest.mark.parametrize("width", [390, 1280])
def test_no_label_leaves_its_card_and_no_column_is_out_of_sight(tmp_path: Path, width: int):
    report = page(read(_with_long_names()), measured=[]).replace("<details>", "<details open>")
    found = _look(tmp_path, report, width)
    assert found["texts"] > 200 and found["out"] == []
    assert found["wide"] <= width


def test_what_leaves_its_card_would_be_seen(tmp_path: Path):
    large = ".figures text { font-size: 40px !important; } .plot, .plot svg { overflow: visible !important; }"
    report = page(read(comparison())).replace("</style>", f"{large} </style>")
    assert any("leaves its card" in line for line in _look(tmp_path, report, 390)["out"])
    report = page(read(comparison())).replace("</style>", "td { min-width: 400px !important; } </style>")
    assert any("out of sight" in line or "wider" in line for line in _look(tmp_path, report, 1280)["out"])


def test_it_is_light_and_dark(tmp_path: Path):
    light = _look(tmp_path, page(read(comparison())), 800, "--blink-settings=preferredColorScheme=1")
    dark = _look(tmp_path, page(read(comparison())), 800, "--blink-settings=preferredColorScheme=0")

    def brightness(color: str) -> float:
        return sum(map(int, re.findall(r"\d+", color)[:3])) / 3

    assert brightness(light["ground"]) > 200 > 100 > brightness(light["ink"])
    assert brightness(dark["ground"]) < 60 < 180 < brightness(dark["ink"])
    assert brightness(light["label"]) < 120 < 140 < brightness(dark["label"])
    assert brightness(light["line"]) + 20 < brightness(dark["line"])


def test_a_method_is_picked_in_a_legend(tmp_path: Path):
    click = "inside => inside.querySelector('#noise .legend button').click()"
    assert _look(tmp_path, page(read(comparison())), 800, act=click)["faint"] == 2 * 2, (
        "two others in each of two charts"
    )
    twice = "inside => { for (const _ of [1, 2]) inside.querySelector('#noise .legend button').click(); }"
    assert _look(tmp_path, page(read(comparison())), 800, act=twice)["faint"] == 0


def test_a_complaint_would_be_seen(tmp_path: Path):
    broken = page(read(comparison())).replace("</body>", "<script>nothing()</script></body>")
    path = tmp_path / "broken.html"
    path.write_text(broken, encoding="utf-8")
    assert _console(_run(tmp_path, "--dump-dom", path.as_uri()))
