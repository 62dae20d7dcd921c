"""Records as rows: one of every finished run on record."""

from pathlib import Path

import pandas

from onward.recipes import Recipe
from onward.runs.records import Record, read_records

_TOLD = ("validation_accuracy", "epochs", "parameters", "train_seconds", "peak_memory_bytes", "device", "commit")


def results(folder: Path | str = "results") -> pandas.DataFrame:
    """Return the recorded runs below a folder, a row each: what was trained on what, and what it came to.

    Accuracies are fractions, times seconds, memory bytes; what an older version did not note is missing. Raises
    ValueError for a folder without records, and naming the file of a damaged one.
    """
    place = Path(folder)
    if not (place / "runs").is_dir():
        raise ValueError(f"{place / 'runs'} does not exist: name a folder of records, such as `results` of a checkout")
    found = [_row(run) for runs in read_records(place).values() for run in runs]
    return pandas.DataFrame(found, columns=[*_row_names()])


def _row(run: Record) -> dict[str, object]:
    recipe: Recipe = run.recipe
    own = (recipe.name, recipe.seed, run.method, run.data, run.locality, run.accuracy)
    published = None if recipe.published is None else recipe.published.test_accuracy
    told = [run.result.get(name) for name in _TOLD]
    return dict(zip(_row_names(), (*own, published, recipe.backprop, *told), strict=True))


def _row_names() -> tuple[str, ...]:
    own = ("recipe", "seed", "method", "data", "locality", "test_accuracy", "published_accuracy", "backprop_recipe")
    return own + _TOLD
