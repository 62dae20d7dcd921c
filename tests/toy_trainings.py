"""Small trainings for the tests of several rooms, and comparisons of what they give."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from onward.algorithms import DeeperForward
from onward.core import TrainerSettings
from onward.data import Augmentation, DataSettings, Splits, from_arrays
from onward.nets import TinyCNN
from onward.recipes import Recipe
from onward.runs import RunOptions, RunResult, spec_for
from onward.runs.codec import encode
from onward.runs.result import RunEnvironment
from onward.training import Training


@pytest.fixture
def toy_data() -> Splits:
    """Ninety 8x8 images of three classes: a bright bar whose place tells the class."""
    draw = np.random.default_rng(0)
    labels = np.arange(90) % 3
    images = draw.uniform(0, 0.3, (90, 8, 8))
    for image, label in zip(images, labels, strict=True):
        image[:, 2 * label : 2 * label + 2] += 0.7
    return from_arrays(images.astype("float32"), labels, name="bars")


@pytest.fixture
def toy_recipe() -> Recipe:
    """Three epochs on scikit-learn's digits with everything random switched on."""
    return Recipe(
        name="toy",
        description="a toy",
        algorithm=DeeperForward(),
        net=TinyCNN(width=10, dropout=0.3),
        data=DataSettings(name="digits", augmentation=Augmentation(crop=1, cutout=2)),
        trainer=TrainerSettings(learning_rate=0.02, ema_decay=0.9, clip_norm=1.0),
        epochs=3,
        batch_size=300,
    )


@pytest.fixture
def place(tmp_path: Path) -> RunOptions:
    return RunOptions(runs_dir=tmp_path / "runs", device="cpu")


@pytest.fixture
def make_training(toy_data: Splits):
    """Build a fresh, seeded training on the toy images; keyword arguments change its settings."""

    def build(*, algorithm=None, net=None, epochs: int = 2, augmentation=None, neighbors=None, **settings) -> Training:
        spec = spec_for(algorithm or DeeperForward(), net or TinyCNN(width=6, dropout=0.3), toy_data)
        return Training(
            spec.build(seed=1),
            toy_data,
            replace(TrainerSettings(learning_rate=0.02), **settings),
            epochs=epochs,
            batch_size=16,
            seed=3,
            augmentation=augmentation,
            neighbors=neighbors,
        )

    return build


def same_tensors(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Whether two sets of tensors have the same names and the same bits."""
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


def toy_environment(data_checksum: str = "0" * 64) -> RunEnvironment:
    """What a run begins in, for tests that train nothing."""
    return RunEnvironment(
        versions={}, platform="here", device="a machine", threads=1, commit=None, data_checksum=data_checksum
    )


def toy_result(recipe: Recipe, accuracy: float = 0.9, **more: Any) -> RunResult:
    """A result of a recipe, for tests that train nothing."""
    found = RunResult(
        recipe=recipe.name,
        seed=recipe.seed,
        test_accuracy=accuracy,
        test_accuracy_by_rule={"best_range": accuracy, "last_block": accuracy - 0.1},
        validation_accuracy=accuracy,
        data=recipe.data.name,
        data_note="",
        epochs=recipe.epochs,
        parameters=1_234_567,
        train_seconds=90.0,
        device="a machine",
        config=encode(recipe),
    )
    return replace(found, **more)


def metrics_row(epoch: int, **more: object) -> dict[str, object]:
    """Return what the metrics of an epoch hold at least."""
    row = {"losses": {"0": 1.5}, "validation_accuracy": 0.5, "block_accuracy": [0.5], "train_seconds": 2.0}
    return {"epoch": epoch, **row, **more}
