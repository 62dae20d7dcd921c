"""Records as rows: one of every finished run on record."""

from collections.abc import Sequence
from pathlib import Path

import pandas

from onward.recipes import Recipe
from onward.results.tables import control_of
from onward.runs.records import Record, read_records

_MEASURES = ("validation_accuracy", "epochs", "parameters", "train_seconds", "peak_memory_bytes", "device", "commit")


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
    return pandas.DataFrame(rows, columns=[*_row_names()])


def _row(run: Record, controls: Sequence[Record]) -> dict[str, object]:
    recipe: Recipe = run.recipe
    own = (recipe.name, recipe.seed, run.method, run.data, run.locality, run.accuracy)
    published = None if recipe.published is None else recipe.published.test_accuracy
    beside = controls[0].recipe.name if controls else None
    measures = [run.result.get(name) for name in _MEASURES]
    return dict(zip(_row_names(), (*own, published, beside, *measures), strict=True))


def _row_names() -> tuple[str, ...]:
    own = ("recipe", "seed", "method", "data", "locality", "test_accuracy", "published_accuracy", "backprop_recipe")
    return own + _MEASURES
