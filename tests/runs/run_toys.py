"""Comparisons for the tests of runs."""

import torch


def same_tensors(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Whether two sets of tensors have the same names and the same bits."""
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


def metrics_row(epoch: int, **more: object) -> dict[str, object]:
    """Return what the metrics of an epoch hold at least."""
    row = {"losses": {"0": 1.5}, "validation_accuracy": 0.5, "block_accuracy": [0.5], "train_seconds": 2.0}
    return {"epoch": epoch, **row, **more}
