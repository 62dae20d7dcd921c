"""The command `onward predict`: classes of image files by a finished run."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro

from onward.cli.arguments import parse
from onward.cli.tables import show_table
from onward.data import read_image
from onward.runs import load_model


@dataclass(frozen=True)
class PredictArguments:
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Run folder."""
    images: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE...")]
    """Image files; they are converted and resized to what the network takes."""
    rule: str | None = None
    """Inference rule; the run's headline rule unless named."""
    json: bool = False
    """Print JSON lines."""
    top: int = 5
    """How many classes to show for each block."""


def run(words: Sequence[str]) -> None:
    """Carry out `onward predict`. Raises ValueError for what a user can mend."""
    order = parse(PredictArguments, "predict", words)
    if not order.images:
        raise ValueError("no image named: onward predict RUN IMAGE...")
    if order.top < 1:
        raise ValueError(f"--top must be at least 1, got {order.top}")
    learner, spec = load_model(order.run)
    channels, height, width = spec.shape
    images = torch.stack([read_image(path, channels=channels, size=(height, width)) for path in order.images])
    scores = learner.predict_scores(images, rule=order.rule)
    blocks = learner.score_blocks(images)
    for k, path in enumerate(order.images):
        show = _print_json if order.json else _print_prediction
        show(path, order.rule or learner.headline, spec.class_names, scores[k], blocks[:, k], order.top)


def _print_prediction(path: Path, rule: str, names: tuple[str, ...], scores, blocks, top: int) -> None:
    confidence = scores.softmax(dim=0)
    best = int(confidence.argmax())
    shown = scores.topk(min(top, len(names))).indices.tolist()
    title = f"{path}: {names[best]} (confidence {float(confidence[best]):.1%}, softmax of the {rule} scores)"
    rows = [(f"block {block}", [f"{float(row[c]):.3f}" for c in shown]) for block, row in enumerate(blocks)]
    show_table(title, ["scores", *[names[c] for c in shown]], rows)


def _print_json(path: Path, rule: str, names: tuple[str, ...], scores, blocks, top: int) -> None:
    confidence = scores.softmax(dim=0)
    best = int(confidence.argmax())
    row = {"image": str(path), "rule": rule, "class": names[best], "confidence": float(confidence[best])}
    print(json.dumps({**row, "block_scores": blocks.tolist(), "class_names": names}))
