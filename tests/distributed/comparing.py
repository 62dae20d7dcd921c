"""Comparisons of runs."""

import json
from pathlib import Path

import torch

from onward.runs.files import read_tensors

_MACHINE = {"train_seconds", "peak_memory_bytes", "images_per_second", "sha256", "pipeline"}


def assert_equal_runs(ours: Path, theirs: Path) -> None:
    """Both runs must hold the same model, bit for bit, the same metrics, and the same result."""
    (left, notes), (right, others) = (read_tensors(run / "model.safetensors") for run in (ours, theirs))
    assert left.keys() == right.keys() and notes == others
    assert [name for name, value in left.items() if not torch.equal(value, right[name])] == []
    assert (ours / "model.json").read_bytes() == (theirs / "model.json").read_bytes()
    assert _metrics(ours) == _metrics(theirs)
    assert _without(json.loads((ours / "result.json").read_text())) == _without(
        json.loads((theirs / "result.json").read_text())
    )
    assert {path.name for path in ours.iterdir()} == {path.name for path in theirs.iterdir()}


def _metrics(run: Path) -> list[dict]:
    return [_without(json.loads(line)) for line in (run / "metrics.jsonl").read_text().splitlines()]


def _without(row: dict) -> dict:
    return {name: value for name, value in row.items() if name not in _MACHINE}
