"""Records as rows: one of every finished run on record."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas

from onward.results.tables import control_of
from onward.runs.records import Record, read_records


class _Row(NamedTuple):
    recipe: str
    seed: int
    method: str
    data: str
    locality: str
    test_accuracy: float
    published_accuracy: float | None
    backprop_recipe: str | None
    validation_accuracy: float
    epochs: int
    parameters: int
    train_seconds: float
    peak_memory_bytes: int | None
    device: str
    commit: str | None


def results(folder: Path | str = "results") -> pandas.DataFrame:
    """Return the recorded runs below a folder, a row each: training, data and measured results.

    Accuracies are fractions, times seconds, memory bytes; what an older version did not note is missing. Raises
    ValueError for a folder without records, and naming the file of a damaged one.
    """
    root = Path(folder)
    if not (root / "runs").is_dir():
        raise ValueError(f"{root / 'runs'} does not exist: name a folder of records, such as `results` of a checkout")
    records = read_records(root)
    rows = [_row(run, control_of(row, records)) for row, runs in records.items() for run in runs]
    return pandas.DataFrame(rows, columns=[*_Row._fields])


def _row(run: Record, controls: Sequence[Record]) -> _Row:
    recipe, result = run.recipe, run.result
    return _Row(
        recipe=recipe.name,
        seed=recipe.seed,
        method=run.method,
        data=run.data,
        locality=run.locality,
        test_accuracy=run.accuracy,
        published_accuracy=None if recipe.published is None else recipe.published.test_accuracy,
        backprop_recipe=controls[0].recipe.name if controls else None,
        validation_accuracy=result.validation_accuracy,
        epochs=result.epochs,
        parameters=result.parameters,
        train_seconds=result.train_seconds,
        peak_memory_bytes=result.peak_memory_bytes,
        device=result.device,
        commit=result.commit,
    )
