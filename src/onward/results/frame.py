"""Records as rows: one of every finished run on record."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas

from onward.results.tables import control_of, published_of
from onward.runs.records import Record, read_records

_COLUMNS: dict[str, Callable[[Record, Sequence[Record]], Any]] = {
    "recipe": lambda run, _: run.recipe.name,
    "seed": lambda run, _: run.recipe.seed,
    "method": lambda run, _: run.method,
    "data": lambda run, _: run.data,
    "locality": lambda run, _: run.locality,
    "test_accuracy": lambda run, _: run.accuracy,
    "published_accuracy": lambda run, _: None if (number := published_of(run)) is None else number.test_accuracy,
    "backprop_recipe": lambda _, controls: controls[0].recipe.name if controls else None,
    "validation_accuracy": lambda run, _: run.result.validation_accuracy,
    "epochs": lambda run, _: run.result.epochs,
    "parameters": lambda run, _: run.result.parameters,
    "train_seconds": lambda run, _: run.result.train_seconds,
    "peak_memory_bytes": lambda run, _: run.result.peak_memory_bytes,
    "device": lambda run, _: run.result.device,
    "commit": lambda run, _: run.result.commit,
}
"""Each column from a record and those of its backprop control."""


def results(folder: Path | str = "results") -> pandas.DataFrame:
    """Return the recorded runs below a folder, a row each: training, data and measured results.

    Accuracies are fractions, times seconds, memory bytes; what an older version did not note is missing. Raises
    ValueError for a folder without `runs`, and naming the file of a damaged record.
    """
    root = Path(folder)
    if not (root / "runs").is_dir():
        raise ValueError(f"{root / 'runs'} does not exist: name a folder of records, such as `results` of a checkout")
    records, rows = read_records(root), []
    for row, runs in records.items():
        controls = control_of(row, records)
        rows += [{name: value(run, controls) for name, value in _COLUMNS.items()} for run in runs]
    return pandas.DataFrame(rows, columns=[*_COLUMNS])
