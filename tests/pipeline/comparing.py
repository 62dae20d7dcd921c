"""Comparisons of runs."""

import json
from pathlib import Path

import torch

from onward.storage.files import read_tensors

_MACHINE = {"train_seconds", "peak_memory_bytes", "images_per_second", "sha256", "pipeline", "commit"} | {
    "config_sha256",
    "seals",
    "result_sha256",
}


def assert_equal_runs(ours: Path, theirs: Path) -> None:
    """Both runs must hold the same model, bit for bit, the same metrics, and the same result."""
    assert_equal_training(ours, theirs)
    assert _result(ours) == _result(theirs)
    assert {path.name for path in ours.iterdir()} == {path.name for path in theirs.iterdir()}


def assert_equal_training(ours: Path, theirs: Path) -> None:
    """Both runs must hold the same model, bit for bit, and the same metrics."""
    (left, notes), (right, others) = (read_tensors(run / "model.safetensors") for run in (ours, theirs))
    assert left.keys() == right.keys() and notes == others
    assert [name for name, value in left.items() if not torch.equal(value, right[name])] == []
    described, other = (_without(json.loads((run / "model.json").read_text())) for run in (ours, theirs))
    assert described == other
    assert _metrics(ours) == _metrics(theirs)


def _result(run: Path) -> dict:
    return _without(json.loads((run / "result.json").read_text()))


def _metrics(run: Path) -> list[dict]:
    return [_without(json.loads(line)) for line in (run / "metrics.jsonl").read_text().splitlines()]


def _without(row: dict) -> dict:
    return {name: value for name, value in row.items() if name not in _MACHINE}
