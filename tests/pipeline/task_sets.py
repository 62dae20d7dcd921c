"""Data sets with two-dimensional targets, registered in the tests and in the processes that they start."""

import numpy as np

import onward
from onward.data import DataSettings, Splits, from_arrays
from onward.registry import DATA

_X = np.random.default_rng(0).normal(size=(200, 6)).astype("float32")


def numbers_of_a_row(settings: DataSettings, data_dir: object) -> Splits:
    """Return rows with two numbers each, in units of their own."""
    targets = np.stack([30 * _X[:, 0] + 100, _X[:, 1] * _X[:, 2]], axis=1)
    return from_arrays(_X, targets, task="values", name="numbers_of_a_row")


def labels_of_a_row(settings: DataSettings, data_dir: object) -> Splits:
    """Return rows with three labels, any of which may be there."""
    return from_arrays(_X, (_X[:, :3] > 0.2).astype(int), task="labels", name="labels_of_a_row")


for _made in (numbers_of_a_row, labels_of_a_row):
    if _made.__name__ not in DATA:
        onward.register(_made, name=_made.__name__)
