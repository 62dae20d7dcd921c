"""The page that learns: one file, small, and it works in a browser."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from exports import toy_images, trained, written

from onward.algorithms import DecoupledGreedy, MonoForward
from onward.core import LocalTrainer, TrainerSettings
from onward.data import DataSettings, Splits, load
from onward.export import Model, model_of
from onward.export.exporting import write_files
from onward.export.page import LESSONS, MOST_BYTES, rehearsal
from onward.nets import MLP, TinyCNN
from onward.runs import spec_for

_PROBE = """
const out = {};
let drawn_so_far = 1;
Math.random = () => (drawn_so_far = (drawn_so_far * 16807) % 2147483647) / 2147483647; // the same lessons every time
out.narrow = document.documentElement.scrollWidth <= innerWidth;
const decisions = () => Array.from(document.querySelectorAll("#blocks .told")).map((cell) => cell.textContent);
out.untouched = [...decisions(), ...document.querySelectorAll("#answers .guess, #answers button:enabled")].join("");
const box = pad.getBoundingClientRect();
const at = (type, x, y) => pad.dispatchEvent(new PointerEvent(type, {
  bubbles: true, pointerId: 1, pointerType: POINTER, buttons: 1,
  clientX: box.left + x * box.width, clientY: box.top + y * box.height }));
pad.setPointerCapture = () => {};
at("pointerdown", 0.5, 0.1); at("pointermove", 0.5, 0.5); at("pointermove", 0.5, 0.9);
out.ink = look().reduce((a, b) => a + b, 0);
out.rows = document.querySelectorAll("#blocks tr").length;
out.answers = document.querySelectorAll("#answers button").length;
const before = Array.from(scores(look())), wanted = (best(before) + 1) % classNames.length;
document.querySelectorAll("#answers button")[wanted].click();
out.learned = best(Array.from(scores(look()))) === wanted;
out.against = document.querySelectorAll("#against div i").length;
out.said = said.textContent;
out.blocks = decisions();
let saved = null;
URL.createObjectURL = (blob) => ((saved = blob), "data:,");
HTMLAnchorElement.prototype.click = () => {}; // a download would leave the page
document.getElementById("save").click();
undo.click();
out.undone = Math.max(...Array.from(scores(look())).map((v, k) => Math.abs(v - before[k])));
const handed = (blob, name) => {
  const held = new DataTransfer();
  held.items.add(new File([blob], name));
  return held;
};
file.files = handed(saved, "state.json").files;
await file.onchange();
out.loaded = best(Array.from(scores(look()))) === wanted && said.textContent;
const board = new OffscreenCanvas(40, 20), chalk = board.getContext("2d");
chalk.fillStyle = "#fff";
chalk.fillRect(0, 0, 20, 20);
const dropped = handed(await board.convertToBlob(), "half.png");
const finished = new Promise((done) => new MutationObserver(done).observe(said, { childList: true }));
pad.dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: dropped }));
await finished;
await new Promise((done) => setTimeout(done, 50));
out.half = [2, 6].map((x) => look()[4 * width + x]);
document.getElementById("invert").click();
out.inverted = [2, 6].map((x) => look()[4 * width + x]);
chalk.clearRect(0, 0, 40, 20);
chalk.fillStyle = "#000";
chalk.fillRect(0, 0, 20, 20);
await place(await board.convertToBlob());
out.dark = [2, 6].map((x) => look()[4 * width + x]);
await place(new Blob(["no image"]));
out.none = said.textContent;
const exam = EXAM, pictures = exam.images.map((image) => Float32Array.from(image, (v) => v / 255));
const right = () => pictures.filter((image, k) => best(Array.from(scores(image))) === exam.labels[k]).length;
undo.disabled = true;
setState(ORIGINAL);
out.before = right();
const missed = (k) => best(Array.from(scores(pictures[k]))) !== exam.labels[k];
const wrong = pictures.map((_, k) => k).filter(missed).slice(0, 20);
out.taught = 0;
out.steps = wrong.map((k) => {
  const steps = lesson(pictures[k], exam.labels[k]);
  out.taught += !missed(k);
  return steps;
});
out.after = right();
out.kept = wrong.filter((k) => !missed(k)).length;
parent.postMessage(JSON.stringify(out), "*");
"""


_KEPT = """
const ticks = setInterval(() => {}, 1), out = {}; // without ticks the browser's clock jumps while a file is read
const handed = (blob) => {
  const held = new DataTransfer();
  held.items.add(new File([blob], "state.json"));
  return held;
};
const leaves = () => dispatchEvent(new Event("beforeunload", { cancelable: true }));
const all = () => JSON.stringify([{ ...state() }, lessons.length, undo.disabled, unsaved]);
const dragged = (type) => new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer: handed("x") });
let saved = null;
URL.createObjectURL = (blob) => ((saved = blob), "data:,");
HTMLAnchorElement.prototype.click = () => {};
document.getElementById("save").click();
const own = JSON.parse(await saved.text());
out.fresh = leaves();
pen.fillStyle = "#fff";
pen.fillRect(1, 1, 3, 6);
read();
const wrong = (best(Array.from(scores(look()))) + 1) % classNames.length;
teach(wrong);
out.unsaved = leaves();
document.getElementById("save").click();
out.saved = leaves();
teach((wrong + 1) % classNames.length);
out.again = leaves();
const before = all();
out.refused = [];
for (const text of ["no state", "null", "[]", "{}", JSON.stringify({ ...own, shape: [3, 8, 8] }),
  JSON.stringify({ ...own, classes: ["cat", "dog"] }), JSON.stringify({ ...own, weights: own.weights.slice(1) }),
  JSON.stringify({ ...own, weights: own.weights.map(() => null) }),
  JSON.stringify({ ...own, weights: { length: weights.length } }),
  JSON.stringify({ ...own, moments: [1] }), JSON.stringify({ ...own, steps: "3" })]) {
  file.files = handed(new Blob([text])).files;
  await file.onchange();
  out.refused.push([said.textContent, all() === before]);
}
const fits = weights.map((w) => w * 1e38);
setState({ ...state(), weights: fits.map((w) => (Number.isFinite(w) ? w : 1e38)) });
const large = all();
teach(wrong);
out.diverged = [said.textContent, all() === large];
const fall = (place) => [dragged("dragover"), dragged("drop")].map((event) => place.dispatchEvent(event));
out.leaves = [document.body, said, pad].flatMap(fall);
const line = document.createElement("pre");
line.id = "probe";
line.textContent = JSON.stringify(out);
document.body.append(line);
clearInterval(ticks);
"""


_FRAME = """<!doctype html><body><iframe srcdoc="PAGE" style="width: WIDTHpx; height: 900px"></iframe><script>
const ticks = setInterval(() => {}, 1); // else the browser's clock jumps to its end while an image is decoded
addEventListener("message", (event) => {
  clearInterval(ticks);
  const line = document.createElement("pre");
  line.id = "probe";
  line.textContent = event.data;
  document.body.append(line);
});
</script></body>"""


_REFUSED = ("that such a page saved", "of this model")


def _digits(data: Splits) -> Model:
    spec = spec_for(MonoForward(), MLP(width=32, depth=2), data)
    learner = spec.build(seed=0)
    trainer = LocalTrainer(learner, TrainerSettings(learning_rate=3e-3))
    generator = torch.Generator().manual_seed(0)
    for step in range(500):
        chosen = torch.randint(len(data.train.labels), (50,), generator=generator)
        trainer.step(data.train.pixels[chosen], data.train.labels[chosen], step=step)
    return model_of(learner, spec, name="Digits & <lines>")


def _probed(text: str, folder: Path) -> dict:
    """Return what a probe in a page found, in a browser."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs chromium on this machine")
    words = [browser, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    words += ["--window-size=1400,900", "--virtual-time-budget=600000", "--dump-dom"]
    (folder / "probed.html").write_text(text)
    done = subprocess.run(
        [*words, (folder / "probed.html").as_uri()], capture_output=True, text=True, timeout=200, check=True
    )
    match = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.S)
    assert match, done.stderr[-500:]
    return json.loads(html.unescape(match[1]))


@pytest.mark.parametrize(("width", "pointer"), [(390, "touch"), (1280, "mouse")])
def test_a_page_learns_in_a_browser(width: int, pointer: str, tmp_path: Path):
    data = load(DataSettings(name="digits"))
    model = _digits(data)
    write_files(model, tmp_path, "page", None, kept=rehearsal(data, model.spec.shape))
    text = (tmp_path / "index.html").read_text()
    assert len(text.encode()) <= MOST_BYTES and "http" not in re.sub(r'"[A-Za-z0-9+/=]{40,}"', "", text)
    exam = {"images": data.test.pixels.flatten(1).tolist(), "labels": data.test.labels.tolist()}
    probe = _PROBE.replace("POINTER", json.dumps(pointer)).replace("EXAM", json.dumps(exam))
    probe = "const original = state();\n" + probe.replace("ORIGINAL", "original")
    probed = text.replace("clear();\n</script>", f"clear();\n{probe}</script>")
    # A window may not be as narrow as a phone, but a frame may.
    framed = _FRAME.replace("WIDTH", str(width)).replace("PAGE", html.escape(probed))
    out = _probed(framed, tmp_path)
    print({**out, "bytes": len(text.encode()), "exam": len(data.test.labels)})
    assert out["narrow"] and out["ink"] > 3 and (out["rows"], out["answers"]) == (4, 10)
    assert out["learned"] and out["loaded"].startswith("The state is loaded. Answer: ") and out["undone"] < 1e-6
    assert out["untouched"] == "", "nothing is decided and nothing can be taught before there is a drawing"
    assert out["against"] == 6 and len(out["blocks"]) == 3 and all(text.startswith("→ ") for text in out["blocks"])
    assert out["half"] == pytest.approx([1, 0], abs=0.05) and out["inverted"] == pytest.approx([0, 1], abs=0.05)
    assert out["dark"] == pytest.approx([0, 1], abs=0.05), "dark strokes on a transparent picture are lost"
    assert out["none"] == "This file is no image that the browser can read."
    assert "Digits &amp; &lt;lines&gt;" in text
    assert out["taught"] == len(out["steps"]) >= 10, "a lesson was not learned"
    assert out["before"] - out["after"] <= 0.02 * len(data.test.labels), "the lessons cost more than 2 points"


def test_nothing_that_a_page_learned_is_lost(tmp_path: Path):
    text = (
        written(trained(MonoForward(), MLP(width=12, depth=2), toy_images()), tmp_path, "page") / "index.html"
    ).read_text()
    out = _probed(text.replace("clear();\n</script>", f"clear();\n{_KEPT}</script>"), tmp_path)
    assert [out[name] for name in ("fresh", "unsaved", "saved", "again")] == [True, False, True, False], "asked or not"
    none, foreign = (f"This file cannot be loaded: it is no state {what}." for what in _REFUSED)
    assert out["refused"] == [[none, True], *[[foreign, True]] * 10], "refused, and nothing has changed"
    assert out["diverged"] == ["The weights grew without bound; this lesson is undone.", True]
    assert out["leaves"] == [False] * 6, "a browser leaves the page for what is dropped beside the pad"


def _wide(width: int) -> Model:
    return trained(MonoForward(), MLP(width=width, depth=2), toy_images())


def test_a_page_that_is_too_large_is_refused_with_what_fits(tmp_path: Path):
    with pytest.raises(
        ValueError, match=r"more than 300,000, for its 111,604 weights, where \d\d,\d{3} would fit"
    ) as error:
        written(_wide(300), tmp_path, "page")
    count = int(str(error.value).split(" would fit")[0].split()[-1].replace(",", ""))
    width = next(w for w in range(300, 0, -1) if w * w + (64 + 2 + 2 * 3) * w <= count)  # two layers, two projections
    folder = written(_wide(width), tmp_path / "narrower", "page")
    assert 0.98 * MOST_BYTES < (folder / "index.html").stat().st_size <= MOST_BYTES


@pytest.mark.slow
def test_a_page_whose_readouts_are_too_large_fits_as_the_documentation_has_it(tmp_path: Path):
    digits = load(DataSettings(name="digits"))
    with pytest.raises(ValueError, match=r"\(--net.width, --algorithm.hidden, --algorithm.decoder-features\), or take"):
        written(trained(DecoupledGreedy(), TinyCNN(width=1), digits), tmp_path, "page")
    model = trained(DecoupledGreedy(hidden=16, decoder_features=256), TinyCNN(width=8), digits)
    write_files(model, tmp_path, "page", None, kept=rehearsal(digits, model.spec.shape))


def test_a_page_learns_without_the_dropout_of_its_training(tmp_path: Path):
    folder = written(trained(MonoForward(), TinyCNN(width=3), toy_images()), tmp_path, "page", None)
    described = json.loads((folder / "export.json").read_text())
    assert described["learning"] == vars(LESSONS)
    assert (folder / "index.html").stat().st_size < MOST_BYTES
