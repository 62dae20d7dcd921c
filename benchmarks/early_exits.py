"""Accuracy against compute of networks whose images leave early: a curve over margins for each finished run.

python benchmarks/early_exits.py runs/deeper_forward-fashion_mnist-cpu/seed-0

Exits are calibrated on the run's validation split and counted on its test split; the network stays as it is.
"""

import argparse
from pathlib import Path
from typing import Any

import torch

from onward.data import load
from onward.parts.inference.early_exit import block_costs, trade_off
from onward.runs import load_model
from onward.runs.folder import RunFolder
from report import Order, finish

# below 0, those who leave have to be right more often than the whole network
MARGINS = (-0.1, -0.05, -0.03, -0.02, -0.01, 0.0, 0.01, 0.02, 0.05, 0.1, 0.2)


def curve(folder: Path) -> list[dict[str, Any]]:
    """Return a row for each margin: accuracy, what it loses to all blocks, and the share of their operations."""
    recipe, (learner, _) = RunFolder.open(folder).recipe(), load_model(folder)
    data = load(recipe.data)
    scores = tuple(learner.score_blocks(split.pixels) for split in (data.validation, data.test))
    whole = float((scores[1].sum(dim=0).argmax(dim=1) == data.test.labels).double().mean())
    points = trade_off(
        (scores[0], scores[1]),
        (data.validation.labels, data.test.labels),
        block_costs(learner, data.test.pixels[:1]),
        MARGINS,
    )
    return [
        {"recipe": recipe.name, "margin": margin, "accuracy": right, "lost": whole - right, "compute": share}
        for margin, right, share in points
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="folders of finished runs whose blocks score classes")
    rows = [row for folder in parser.parse_args().runs for row in curve(folder)]
    order = Order(torch.device("cpu"), steps=0, quick=False, whole=True)
    finish("early_exits", order, "accuracy on the test split against the share of compute", rows)


if __name__ == "__main__":
    main()
