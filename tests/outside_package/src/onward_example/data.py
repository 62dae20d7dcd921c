"""Stripes: 8x8 images whose class is the direction of their stripes; made up, so nothing is read."""

from pathlib import Path

import numpy as np

from onward.data import DataSettings, Splits, from_arrays


def stripes(settings: DataSettings, data_dir: Path | None = None) -> Splits:
    """Return 600 images of stripes that run across, down or slanted, under noise."""
    random = np.random.default_rng(0)
    labels = np.arange(600) % 3
    rows, columns = np.mgrid[0:8, 0:8]
    waves = np.stack([rows, columns, rows + columns])[labels] + random.integers(0, 4, (600, 1, 1))
    images = 0.5 + 0.3 * np.sin(waves * np.pi / 2) + 0.2 * random.random((600, 8, 8))
    return from_arrays(
        np.round(images.clip(0, 1) * 255).astype("uint8"),
        labels,
        class_names=("across", "down", "slanted"),
        validation_fraction=settings.validation_fraction,
        seed=settings.split_seed,
        name="stripes",
    )
