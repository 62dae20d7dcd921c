"""Charts of a learner on images: confusion, goodness of right and wrong labels, mistakes, and its first filters."""
# N images, C channels, H height, W width, K classes, L scored blocks

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import altair as alt
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, as_tensor, nn

from onward.core import Learner
from onward.core.metrics import confusion_of
from onward.plots.charts import Chart, finished, matrix
from onward.plots.style import INK, RIGHT, SOFT, WRONG, SeriesStyle
from onward.runs.finished import Run
from onward.runs.loading import images_again, load, open_model

Trained = Learner | Run | Path | str
"""What can be evaluated: the results of `fit`, `load` and `train`, or the folder of a finished run."""

_COLUMNS, _PIXELS, _GAP = 8, 64, 8  # pictures in a row; their largest side and distance, in pixels


def confusion(learner: Trained, images: Any = None, labels: Any = None, *, title: str = "") -> Chart:
    """Return the confusion matrix of a learner, in percent of each true class.

    Images are [N, C, H, W], as `learner.predict` takes them, labels class indices [N]; for a run, the test split unless
    given. Raises ValueError for images or labels that do not fit the learner, and for a learner without either.
    """
    asked, images, targets, names = _asked(learner, images, labels)
    predicted = asked.predict_scores(images).cpu().argmax(dim=1)
    counts = confusion_of(targets, predicted, len(names))
    return matrix(SeriesStyle(title or "a learner", 0, False), names, counts.tolist())


def goodness(learner: Trained, images: Any = None, labels: Any = None) -> Chart:
    """Return each scored block's goodness of the right label and the best wrong one: median, quartiles and deciles.

    As blocks have different scales, goodness is in standard deviations from the mean over all labels of the block.
    Images and labels are as in `confusion`; raises ValueError as it does.
    """
    asked, images, targets, _ = _asked(learner, images, labels)
    scores = asked.score_blocks(images).cpu().double()
    if not scores.numel():
        raise ValueError("no block of this learner scores classes: it has no goodness to show")
    scores = (scores - scores.mean((1, 2), keepdim=True)) / scores.std((1, 2), keepdim=True).clamp_min(1e-12)
    chosen = targets.expand(len(scores), -1)[..., None]
    right, wrong = scores.gather(2, chosen)[..., 0], scores.scatter(2, chosen, -torch.inf).amax(2)
    levels = torch.tensor([0.1, 0.25, 0.5, 0.75, 0.9], dtype=torch.float64)
    rows = [
        {"k": block + 1, "m": name}
        | dict(zip("abcde", (round(v, 4) for v in values.quantile(levels).tolist()), strict=True))
        for name, of in (("right label", right), ("best wrong label", wrong))
        for block, values in enumerate(of)
    ]
    names = ["right label", "best wrong label"]
    base = alt.Chart(alt.NamedData("blocks")).encode(
        x=alt.X("k:O", title="scored block", axis=alt.Axis(labelAngle=0)),
        xOffset=alt.XOffset("m:N", scale=alt.Scale(domain=names, paddingInner=0.4)),
        color=alt.Color(
            "m:N",
            scale=alt.Scale(domain=names, range=[RIGHT, WRONG]),
            legend=alt.Legend(title=None, orient="top", columns=2),
        ),
        tooltip=[alt.Tooltip("m:N", title="of"), alt.Tooltip("c:Q", title="median")],
    )
    y = {"title": "goodness, in deviations of the block", "axis": alt.Axis(tickCount=6)}
    layers: list[Chart] = [
        base.mark_rule(strokeWidth=1.4).encode(y=alt.Y("a:Q", **y), y2=alt.Y2("e:Q")),
        base.mark_bar(size=9).encode(y=alt.Y("b:Q", **y), y2=alt.Y2("d:Q")),
        base.mark_point(filled=True, size=46, stroke=INK, strokeWidth=1.2).encode(y=alt.Y("c:Q", **y)),
    ]
    return finished(layers, {"blocks": rows}, 240, "Goodness of the right and the best wrong label by block", names)


def mistakes(learner: Trained, images: Any = None, labels: Any = None, *, count: int = 16) -> Chart:
    """Return the images with the worst mistakes, by how far the score of a wrong class exceeds that of the right one.

    Below each are its true class and, after an arrow, the predicted one. Images [N, C, H, W] of 1 or 3 channels and
    labels are as in `confusion`; raises ValueError as it does, for inputs that are no images, and without a wrong
    prediction.
    """
    asked, images, targets, names = _asked(learner, images, labels)
    shape = tuple(asked.check_inputs(images[:1]).shape[1:])
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise ValueError(f"inputs of shape {shape} cannot be drawn, only images of 1 or 3 channels: take `confusion`")
    scores = asked.predict_scores(images).cpu()
    best, predicted = scores.max(dim=1)
    lead = best - scores.gather(1, targets[:, None])[:, 0]
    wrong = (predicted != targets).nonzero().flatten()
    if not len(wrong):
        raise ValueError(f"all of these {len(targets)} images are classified correctly: give more")
    worst = wrong[lead[wrong].argsort(descending=True, stable=True)][:count]
    shown = asked.check_inputs(images)[worst]
    pairs = zip(targets[worst].tolist(), predicted[worst].tolist(), strict=True)
    texts = [(names[int(true)], f"→ {names[int(taken)]}") for true, taken in pairs]
    shown = shown.double() / 255 if shown.dtype == torch.uint8 else shown.double()
    return _pictures(shown, texts, "Worst mistakes")


def filters(learner: Trained, *, count: int = 32) -> Chart:
    """Return the first filters of the first layer, each from its smallest weight (dark) to its largest (bright).

    Filters of a convolution with other than 1 or 3 channels are drawn as the mean over channels. Raises ValueError for
    a learner whose first block has neither a convolution nor a linear layer on images.
    """
    asked = _learner(learner)
    first = next((part for part in asked.blocks[0].body.modules() if isinstance(part, nn.Conv2d | nn.Linear)), None)
    shape = asked.image_shape
    weights = None if first is None else first.weight.detach().cpu().double()
    if weights is not None and isinstance(first, nn.Linear):
        pixels = shape if shape is not None and len(shape) == 3 else ()
        fits = pixels and torch.Size(pixels).numel() == weights.shape[1]
        weights = weights.reshape(-1, *pixels) if fits else None
    if weights is None:
        raise ValueError("the first block has neither a convolution nor a linear layer on images: no filters to show")
    if weights.shape[1] not in (1, 3):
        weights = weights.mean(1, keepdim=True)
    weights = weights[:count]
    low, high = weights.flatten(1).amin(1), weights.flatten(1).amax(1)
    scaled = (weights - low.view(-1, 1, 1, 1)) / (high - low).clamp_min(1e-12).view(-1, 1, 1, 1)
    return _pictures(scaled, [(str(k), "") for k in range(len(scaled))], "Filters of the first layer")


def _pictures(pixels: Float[Tensor, "N C H W"], texts: Sequence[tuple[str, str]], about: str) -> Chart:
    """Return images with values in [0, 1] in rows of eight, each with up to two lines of text below it."""
    rows = [
        {"x": k % _COLUMNS, "y": k // _COLUMNS, "u": _address(image), "s": above, "t": below}
        for k, (image, (above, below)) in enumerate(zip(pixels, texts, strict=True))
    ]
    lines = 2 if any(below for _, below in texts) else 1
    step = _PIXELS + 14 * lines + _GAP
    side: Any = {"expr": f"min({_PIXELS}, width / {_COLUMNS} - {_GAP})"}
    many = len(range(0, len(rows), _COLUMNS))
    base = alt.Chart(alt.NamedData("pictures")).encode(
        x=alt.X("x:O", axis=None, scale=alt.Scale(domain=list(range(_COLUMNS)), paddingInner=0, paddingOuter=0)),
        y=alt.Y("y:O", axis=None, scale=alt.Scale(domain=list(range(many)), paddingInner=0, paddingOuter=0)),
    )
    down = -7 * lines  # room for the text below
    layers: list[Chart] = [base.mark_image(width=side, height=side, yOffset=down).encode(url=alt.Url("u:N"))]
    for line, color in zip("st"[:lines], (INK, SOFT), strict=False):
        height = down + _PIXELS / 2 + 8 + (13 if line == "t" else 0)
        text = base.mark_text(fontSize=10, color=color, dy=height, limit=side)
        layers.append(text.encode(text=alt.Text(f"{line}:N")))
    return finished(layers, {"pictures": rows}, step * many, about, [])


def _address(image: Float[Tensor, "C H W"]) -> str:
    """Return an image as a data URL of a PNG, its pixels enlarged."""
    bytes_ = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    times = max(1, _PIXELS // max(bytes_.shape[1:]))
    bytes_ = bytes_.repeat_interleave(times, 1).repeat_interleave(times, 2)
    if len(bytes_) not in (1, 3):
        raise ValueError(f"images of {len(bytes_)} channels cannot be drawn, only 1 or 3")
    array = bytes_[0].numpy() if len(bytes_) == 1 else bytes_.permute(1, 2, 0).numpy()
    held = io.BytesIO()
    Image.fromarray(array).save(held, "PNG")
    return f"data:image/png;base64,{base64.b64encode(held.getvalue()).decode()}"


def _learner(trained: Trained) -> Learner:
    return trained if isinstance(trained, Learner) else load(trained.path if isinstance(trained, Run) else trained)


def _asked(trained: Trained, images: Any, labels: Any) -> tuple[Learner, Any, Tensor, Sequence[str]]:
    """Return a learner, images, their class indices, and the names of all classes. Raises ValueError for a misfit."""
    learner = _learner(trained)
    if learner.task != "classes":
        raise ValueError(f"this learner predicts {learner.task}: such a chart needs one class for each image")
    if (images is None) != (labels is None):
        raise ValueError("give images and labels, or neither of them")
    if images is None or labels is None:
        images, labels = _tested(trained)
    names = learner.class_names or tuple(str(k) for k in range(learner.predict_scores(images[:1]).shape[1]))
    targets = as_tensor(labels).long().cpu()
    if targets.shape != (len(images),) or bool(((targets < 0) | (targets >= len(names))).any()):
        raise ValueError(f"labels must be one whole number from 0 to {len(names) - 1} for each of {len(images)} images")
    return learner, images, targets, names


def _tested(trained: Trained) -> tuple[Tensor, Tensor]:
    """Return the test split of a run."""
    if isinstance(trained, Learner):
        raise ValueError("a learner holds no images: give images and labels, or name the folder of its run")
    _, recipe, folder = open_model(trained.path if isinstance(trained, Run) else trained)
    if recipe is None:
        raise ValueError(f"{folder} is a model without a recipe: give images and labels")
    test = images_again(folder, recipe).test.sample
    return test.pixels, test.labels
