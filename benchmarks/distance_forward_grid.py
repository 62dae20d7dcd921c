"""Sweeps the settings that the notes on Distance-Forward leave open, on a validation split; the test split is not read.

python benchmarks/distance_forward_grid.py --data cifar10 --train-images 10000 --epochs 6

Each finished cell is written at once; running the same command again goes on with those that are missing.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
import tyro

from onward.algorithms import Algorithm, DistanceForward, DistanceForwardPairs
from onward.core import TrainerSettings
from onward.data import DataSettings, Splits, load
from onward.nets import Trifecta6
from onward.runs import spec_for
from onward.storage.files import read_json, write_json
from onward.training import Training

COLLABORATIONS = ("none", "alternating", "sliding", "disjoint", "random feedback")
AXES = ("reading", "kind", "collaboration", "form", "margin", "penalty")
FORMS = (("mean", 10.0), ("hardest", 10.0), ("soft", 10.0), ("soft", 30.0))


@dataclass(frozen=True, kw_only=True)
class Grid:
    """What to sweep and on what."""

    data: str = "digits"
    """Named image set."""
    train_images: int | None = None
    """The first so many images of the training split; None: all."""
    epochs: int = 8
    """Times through them, for each cell."""
    batch_size: int = 64
    """Images per step."""
    width: int = 16
    """Channels of the first of six convolutions."""
    learning_rate: float = 2e-3
    """Peak learning rate; the schedule is a cosine."""
    readings: tuple[str, ...] = ("anchors", "pairs")
    """anchors: one pass (R2); pairs: labels in the input (R1)."""
    anchor_margins: tuple[float, ...] = (0.2, 0.5, 1.0)
    """Margins between cosines."""
    pair_margins: tuple[float, ...] = (0.25, 1.0, 4.0)
    """Margins between mean squares."""
    penalties: tuple[float, ...] = (0.0, 0.03)
    """Weights of the negatives' own scores."""
    anchors: tuple[str, ...] = ("running", "learned")
    """anchors: running centroids, or trained with the block."""
    wrong_labels: tuple[int, ...] = (1, 3)
    """pairs: wrong labels of each image."""
    seed: int = 0
    """Decides weights and order."""
    limit: int | None = None
    """Stop after so many new cells."""
    out: Path = Path("results/benchmarks/distance_forward_grid")
    """Where to write, without the endings .json and .md."""


def cells(grid: Grid) -> Iterator[tuple[dict[str, Any], Algorithm]]:
    """Yield every cell: its coordinates and its algorithm."""
    for reading in grid.readings:
        anchors = reading == "anchors"
        margins = grid.anchor_margins if anchors else grid.pair_margins
        kinds: tuple[Any, ...] = grid.anchors if anchors else grid.wrong_labels
        for how, (form, sharpness), margin, penalty, kind in product(
            COLLABORATIONS, FORMS, margins, grid.penalties, kinds
        ):
            settings: dict[str, Any] = {
                "collaboration": "sliding" if how == "random feedback" else how,
                "random_feedback": how == "random feedback",
                "form": form,
                "sharpness": sharpness,
                "margin": margin,
                "penalty": penalty,
                "unit_length": False,
            }
            algorithm: Algorithm = (
                DistanceForward(**settings, anchors=kind)
                if anchors
                else DistanceForwardPairs(**settings, wrong_labels=kind)
            )
            named = f"{form} {sharpness:g}" if form == "soft" else form
            yield dict(zip(AXES, (reading, kind, how, named, margin, penalty), strict=True)), algorithm


def measure(grid: Grid, algorithm: Algorithm, data: Splits) -> dict[str, Any]:
    """Train one cell and report its accuracy on the validation split, in percent."""
    started = time.perf_counter()
    learner = spec_for(algorithm, Trifecta6(width=grid.width), data).build(seed=grid.seed)
    settings = TrainerSettings(learning_rate=grid.learning_rate)
    training = Training(learner, data, settings, epochs=grid.epochs, batch_size=grid.batch_size, seed=grid.seed)
    try:
        for _ in training:
            pass
    except ValueError as error:
        return {"failed": str(error)}
    training.finish()
    accuracy = training.evaluator.accuracy(data.validation)
    return {
        "rules": {name: round(100 * value, 2) for name, value in accuracy.by_rule.items()},
        "blocks": [round(100 * value, 2) for value in accuracy.by_block],
        "seconds": round(time.perf_counter() - started, 1),
    }


def table(grid: Grid, results: list[dict[str, Any]]) -> str:
    """Return the Markdown page of all results, best first."""
    names = ["all_blocks", "all_but_first", "last_block", "linear_readout"]
    lines = [
        "# Distance-Forward, a reconstruction: what the notes leave open",
        "",
        f"Accuracy on the validation split of {grid.data} in percent, {grid.train_images or 'all'} training images, "
        f"{grid.epochs} epochs, Trifecta6 of width {grid.width}, seed {grid.seed}. The test split was not read.",
        "",
        "| " + " | ".join([*AXES, *names, "seconds"]) + " |",
        "|" + "---|" * (len(AXES) + len(names) + 1),
    ]
    done = [r for r in results if "rules" in r]
    for row in sorted(done, key=lambda r: -max(r["rules"].values())):
        cell = [row[key] for key in AXES]
        lines.append(
            "| " + " | ".join(str(v) for v in [*cell, *[row["rules"][n] for n in names], row["seconds"]]) + " |"
        )
    lines += [f"\nFailed: {row}" for row in results if "failed" in row]
    return "\n".join(lines) + "\n"


def main(grid: Grid) -> None:
    data = load(DataSettings(name=grid.data))
    if grid.train_images is not None:
        data = replace(data, train=data.train.subset(torch.arange(min(grid.train_images, len(data.train)))))
    shared = ("data", "train_images", "epochs", "batch_size", "width", "learning_rate", "seed")
    setting = {name: getattr(grid, name) for name in shared}  # what all cells of a file have in common
    pages = {ending: grid.out.with_suffix(ending) for ending in (".json", ".md")}
    grid.out.parent.mkdir(parents=True, exist_ok=True)
    results: list[dict[str, Any]] = []
    if pages[".json"].exists():
        content = read_json(pages[".json"])
        if content["setting"] != setting:
            raise SystemExit(f"{pages['.json']} holds another sweep; choose another --out")
        results = content["results"]
    new = 0
    for where, algorithm in cells(grid):
        if any(where.items() <= result.items() for result in results) or new == grid.limit:
            continue
        results.append({**where, **measure(grid, algorithm, data)})
        new += 1
        write_json(pages[".json"], {"setting": setting, "results": results})
        pages[".md"].write_text(table(grid, results))
        print(results[-1], flush=True)


if __name__ == "__main__":
    main(tyro.cli(Grid))
