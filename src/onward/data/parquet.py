"""Local parquet files: found by exact name, opened as files and never as patterns, read row group by row group."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .source_files import stamp

_NUMBERED = re.compile(r"-(\d+)-of-(\d+)(?:-[0-9a-f]+)?\.parquet$")  # the hub writes some with a hash behind


def shard_files(folders: tuple[Path, ...], names: tuple[str, ...]) -> list[Path]:
    """Return the files of the first of these names in the first of these places that has any, in order.

    Raises ValueError where one is no regular file, and where shards of a numbered series are missing or there twice.
    """
    for folder in folders:
        for name in names:
            for pattern in (f"{name}-*.parquet", f"{name}.parquet", f"{name}/*.parquet"):
                files = sorted(folder.glob(pattern))
                if files:
                    _check_series(files)
                    for file in files:
                        stamp(file)
                    return files
    return []


def batches(file: Path) -> Iterator[tuple[dict[str, list], dict[str, Any]]]:
    """Yield the rows of a file, some at a time, as columns of plain values, and the features of the columns."""
    from datasets import Features

    with open(file, "rb") as content:
        parquet = opened(content)
        check_names(parquet.schema_arrow.names)
        features = Features.from_arrow_schema(parquet.schema_arrow)
        counted = 0
        for rows in parquet.iter_batches(batch_size=256):
            counted += len(rows)
            yield rows.to_pydict(), features
        check_rows(parquet.metadata.num_rows, counted)


def opened(content: Any) -> Any:
    """Return a parquet file that is read with the checksums of its pages, where it has some.

    Raises OSError if its two counts of rows differ: the description at its end has no checksum.
    """
    from pyarrow.parquet import ParquetFile

    parquet = ParquetFile(content, page_checksum_verification=True)
    about = parquet.metadata
    check_rows(about.num_rows, sum(about.row_group(group).num_rows for group in range(about.num_row_groups)))
    return parquet


def check_rows(declared: int, counted: int):
    """Raise OSError unless a file has as many rows as its metadata declare."""
    if declared != counted:
        raise OSError(f"its metadata declare {declared} rows, but it has {counted}")


def check_names(columns: list[str]):
    """Raise ValueError where two columns have one name: readers differ in which one they read."""
    doubled = next((name for name in columns if columns.count(name) > 1), None)
    if doubled is not None:
        raise ValueError(f"two columns are called {doubled!r}")


def _check_series(files: list[Path]):
    numbered = [(int(match[1]), int(match[2]), file) for file in files if (match := _NUMBERED.search(file.name))]
    if not numbered:
        return
    _, total, first = numbered[0]
    others = sorted(set(files) - {file for _, of, file in numbered if of == total})
    if others:
        raise ValueError(f"{others[0]} is not of the series of {first.name}: move it away, or its images count twice")
    numbers = [number for number, _, _ in numbered]
    doubled = next((file for number, _, file in numbered if numbers.count(number) > 1), None)
    if doubled is not None:
        raise ValueError(f"{doubled} is there twice under one number: remove the one that does not belong there")
    if max(numbers) >= total:
        raise ValueError(f"{numbered[numbers.index(max(numbers))][2]} is numbered beyond its {total} shards: rename it")
    if len(files) < total:
        missing = next(number for number in range(total) if number not in set(numbers))
        name = re.sub(r"-\d+-of-(\d+).*$", rf"-{missing:05d}-of-\1.parquet", first.name)
        raise ValueError(f"{first.parent / name} is missing ({len(files)} of {total} shards): copy it there")
