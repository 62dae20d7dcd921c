"""A page that continues to learn: one HTML file with the model, its training step and training images."""

import base64
import html
import math
from importlib.resources import files
from string import Template

import torch
from torch import Tensor

from onward.data import Splits
from onward.export.javascript import JAVASCRIPT, javascript
from onward.export.plain import Plain, plain
from onward.export.program import Model
from onward.export.step import Learning

LESSONS = Learning("sgd", momentum=0.0, batch_size=16, without_dropout=True)
"""Settings of a page's training step. Adamw, whose first steps are equal for all weights, forgets more."""

MOST_BYTES = 300_000
REHEARSED = 200
"""Number of training images in a page, equally many of each class."""


def page(model: Model, learning: Learning, kept: tuple[Tensor, Tensor] | None) -> tuple[str, Plain]:
    """Return the text of a page, and the program in it; `kept`: images (uint8) and labels that it trains on again.

    Raises ValueError naming an unsupported operator, for inputs that cannot be drawn, and for a page of more than
    300 kB.
    """
    if not (model.form.kind == "images" and model.form.unit):
        what = "images of another unit" if model.form.kind == "images" else model.form.noun
        raise ValueError(f"a page draws images with values in [0, 1], and this model takes {what}: take --format js")
    written = plain(model, JAVASCRIPT, learning, blocks=True)
    images, labels = kept if kept is not None else (torch.zeros(0, dtype=torch.uint8), torch.zeros(0))
    _, height, width = model.spec.shape
    text = Template((files("onward.export") / "page.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(model.name),
        width=width,
        height=height,
        model=javascript(written).replace("</", "<\\/"),
        rehearsal_images=_bytes(images),
        rehearsal_labels=_bytes(labels),
    )
    size = len(text.encode())
    if size > MOST_BYTES:
        held = sum(values.size for arrays in (written.fixed, written.weights) for values in arrays.values())
        fitting = max(0, held - math.ceil((size - MOST_BYTES) * 3 / 16))  # 4 bytes of a number are 16/3 characters
        raise ValueError(
            f"the page would have {size:,} bytes, more than {MOST_BYTES:,}, for its {held:,} weights, where "
            f"{fitting:,} would fit: train a smaller network ({_sizes(model)}), or take --format js"
        )
    return text, written


def _sizes(model: Model) -> str:
    """Return the flags that the number of weights depends on, in the network and in the blocks' read-outs."""
    own = [name.replace("_", "-") for name in vars(model.spec.algorithm)]
    readouts = [f"--algorithm.{name}" for name in own if name == "hidden" or name.endswith("features")]
    return ", ".join(["--net.width", *readouts])


def rehearsal(data: Splits, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return images of the training split and their labels, equally many of each class, few enough for a page."""
    count = min(REHEARSED, 60_000 // max(1, math.prod(shape)))
    each = max(1, count // len(data.class_names))
    labels = data.train.labels
    chosen = torch.cat([(labels == k).nonzero().flatten()[:each] for k in range(len(data.class_names))])
    return data.train.pixels[chosen], labels[chosen]


def _bytes(values: Tensor) -> str:
    return base64.b64encode(values.to(torch.uint8).contiguous().numpy().tobytes()).decode()
