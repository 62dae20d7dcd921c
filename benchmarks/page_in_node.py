"""The script of a page that learns, unchanged, in Node: its lessons without a browser."""
# N images, C channels, H height, W width

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from onward.export import model_of
from onward.export.page import LESSONS, page
from onward.runs import ModelSpec

_BEFORE = """
// A document in which nothing is seen and nothing is pressed, and the same draws every time.
const nothing = new Proxy(function () {}, {
  get: (_, key) => (key === Symbol.toPrimitive ? () => 0 : nothing),
  set: () => true,
  apply: () => nothing,
});
globalThis.document = nothing;
globalThis.addEventListener = () => {};
let drawn_so_far = SEED + 1;
Math.random = () => (drawn_so_far = (drawn_so_far * 16807) % 2147483647) / 2147483647;
"""
_AFTER = """
const { createInterface } = await import("node:readline");
const scaled = (image) => Float32Array.from(image, (v) => v / 255);
const told = (image) => best(Array.from(scores(scaled(image))));
/** A lesson where the answer is wrong, as the page asks for; the number of its steps, 0 without one. */
function taught(image, label) {
  return told(image) === label ? 0 : lesson(scaled(image), label);
}
for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  let found = null;
  if (asked.keep) Object.assign(rehearsal, { images: asked.keep.flat(), labels: asked.labels });
  else if (asked.teach) found = asked.teach.map((image, k) => taught(image, asked.labels[k]));
  else if (asked.ask) found = asked.ask.map(told);
  else found = weights.every(Number.isFinite) && { weights: weights.byteLength, moments: moments.byteLength };
  console.log(JSON.stringify(found));
}
"""


class PageInNode:
    """The page of a learner, open in a process of its own; `steps` has the steps of each lesson given so far.

    Raises ValueError where Node is missing, and for a page that is over its limit.
    """

    def __init__(self, learner: Any, spec: ModelSpec, *, rule: str | None = None, seed: int = 0):
        node = shutil.which("node")
        if node is None:
            raise ValueError("the script of a page runs in Node here: install node")
        text, _ = page(model_of(learner, spec, rule), LESSONS, None)
        script = re.search(r'<script type="module">\n(.*)</script>', text, re.S)
        assert script is not None
        self.steps: list[int] = []
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name) / "page.mjs"
        path.write_text(_BEFORE.replace("SEED", str(seed)) + script[1] + _AFTER)
        self._node = subprocess.Popen([node, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> "PageInNode":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        self._node.communicate()
        self._folder.cleanup()

    def keep(self, images: UInt8[Tensor, "N C H W"], labels: Int64[Tensor, "N"]) -> None:
        """Put images into the page, in place of those that it trains on again."""
        self._answer(keep=_rows(images), labels=labels.tolist())

    def teach(self, images: UInt8[Tensor, "N C H W"], labels: Int64[Tensor, "N"]) -> None:
        """Show images one after the other; each that the page gets wrong is a lesson."""
        self.steps += [steps for steps in self._answer(teach=_rows(images), labels=labels.tolist()) if steps]

    def predict(self, images: UInt8[Tensor, "N C H W"]) -> Int64[Tensor, "N"]:
        """Return the answers of the page."""
        return torch.tensor(self._answer(ask=_rows(images)))

    def sizes(self) -> dict[str, int]:
        """Return the bytes of weights and of the optimizer's state; of weights that diverged there are none."""
        return self._answer()

    def _answer(self, **asked: Any) -> Any:
        assert self._node.stdin is not None and self._node.stdout is not None
        self._node.stdin.write(json.dumps(asked) + "\n")
        self._node.stdin.flush()
        answer = self._node.stdout.readline()
        if not answer:
            raise RuntimeError("the script of the page ended")
        return json.loads(answer)


def _rows(images: Tensor) -> list[list[int]]:
    assert images.dtype == torch.uint8
    return images.flatten(1).tolist()
