"""The content of parquet shards without their pixels: rows, labels and row groups."""
# N rows of all shards, P pieces, R rows of a piece, C channels, H W map

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from ..cache import Entry, cached_entry
from ..decode import open_image, to_array
from ..named import NamedSet, class_names_of, encoded, find_column, wrong_label
from ..parquet import check_names, check_rows, opened
from ..source_files import cause

T = TypeVar("T")
Request = tuple[int, np.ndarray]
"""A piece by number, and the rows wanted from it, counted from its first."""

_AT_ONCE = 8  # shards that are looked into at the same time: on the hub most of it is waiting


@dataclass(frozen=True, eq=False)
class Shards:
    """The rows of one split, numbered through all its files; a piece is a row group, the least that can be read."""

    files: tuple[str, ...]
    columns: tuple[str, ...]
    """Of each file, the column that holds the images."""
    pieces: Int64[Tensor, "P 2"]
    """File and row group of each piece."""
    first: Int64[Tensor, "P"]
    """The row that each piece begins with."""
    labels: Int64[Tensor, "N"]
    class_names: tuple[str, ...]
    digest: str
    """SHA-256 (hex) over file names, sizes, footers and labels: all that is known without reading every image."""

    def __len__(self) -> int:
        return len(self.labels)

    def piece_of(self, rows: Int64[Tensor, "..."]) -> Int64[Tensor, "..."]:
        """Return the number of the piece that holds each row."""
        return torch.searchsorted(self.first, rows, right=True) - 1


def known_shards(named: NamedSet, files: list[str], identity: Any, *, remedy: str) -> Shards:
    """Scan all shards, or read an earlier scan from the cache.

    Raises ValueError naming file, column or row where something is wrong.
    """

    def make() -> Entry:
        return _entry(named, files, remedy)

    entry = cached_entry(f"{named.name}-rows", [files, identity], make)
    pieces, sizes = entry.arrays["pieces"], entry.arrays["sizes"]
    return Shards(
        tuple(files),
        tuple(entry.facts["columns"]),
        pieces,
        sizes.cumsum(0) - sizes,
        entry.arrays["labels"],
        tuple(entry.facts["class_names"]),
        entry.facts["digest"],
    )


@dataclass(frozen=True, eq=False)
class Unreadable:
    """Replaces the pixels of a piece that could not be decoded: an error as a text, to send between processes."""

    message: str


@dataclass(frozen=True, eq=False)
class PieceReader:
    """Reads and decodes rows of one piece; small enough to be sent to every process that does so."""

    shards: Shards
    channels: int
    size: tuple[int, int]
    remedy: str

    def __getitem__(self, request: Request) -> np.ndarray | Unreadable:
        """Return the pixels [R, C, H, W] of a request, or the error in them."""
        try:
            return self._decode(*request)
        except ValueError as error:
            return Unreadable(str(error))

    def _decode(self, piece: int, rows: np.ndarray) -> UInt8[np.ndarray, "R C H W"]:
        number, group = self.shards.pieces[piece].tolist()
        file, column = self.shards.files[number], self.shards.columns[number]
        of_file = int((self.shards.pieces[:, 0] < number).sum())
        before = int(self.shards.first[piece] - self.shards.first[of_file])
        cells = _tried(partial(_cells, file, group, column, rows), file, self.remedy)
        pixels = np.empty((len(rows), self.channels, *self.size), dtype=np.uint8)
        for position, (row, cell) in enumerate(zip((rows + before).tolist(), cells, strict=True)):
            image = open_image(encoded(cell, file, row), where=f"{file}, row {row}")
            pixels[position] = to_array(image, channels=self.channels, size=self.size)
        return pixels


class _Scan(NamedTuple):
    """The scan of one file: rows of each row group, labels, image column, class names and digest."""

    sizes: list[int]
    labels: np.ndarray
    column: str
    class_names: tuple[str, ...]
    digest: str


def _entry(named: NamedSet, files: list[str], remedy: str) -> Entry:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        scans = list(pool.map(partial(_scan, named, remedy=remedy), files))
    sizes = [size for scan in scans for size in scan.sizes]
    if not sum(sizes):
        raise ValueError(f"{files[0]} has no rows: {remedy}")
    pieces = [[number, group] for number, scan in enumerate(scans) for group in range(len(scan.sizes))]
    arrays = {
        "labels": torch.from_numpy(np.concatenate([scan.labels for scan in scans])),
        "pieces": torch.tensor(pieces),
        "sizes": torch.tensor(sizes),
    }
    digest = hashlib.sha256("".join(scan.digest for scan in scans).encode()).hexdigest()
    columns = [scan.column for scan in scans]
    return Entry(arrays, {"columns": columns, "class_names": scans[0].class_names, "digest": digest})


def _scan(named: NamedSet, file: str, *, remedy: str) -> _Scan:
    from datasets import Features

    with _tried(partial(_open, file), file, remedy) as content:
        parquet = _tried(lambda: opened(content), file, remedy)
        names = parquet.schema_arrow.names
        _tried(lambda: check_names(names), file, remedy)
        column = find_column(named.image_column, "image", names, file)
        label_column = find_column(named.label_column, "label", names, file)
        features = _tried(lambda: Features.from_arrow_schema(parquet.schema_arrow), file, remedy)
        labels = _tried(lambda: parquet.read(columns=[label_column]).column(0), file, remedy)
        _tried(lambda: check_rows(parquet.metadata.num_rows, len(labels)), file, remedy)
        footer = _tried(lambda: _footer(content), file, remedy)
    class_names = class_names_of(named, features[label_column], file)
    indices = _class_indices(named, labels, file, label_column)
    sizes = [parquet.metadata.row_group(group).num_rows for group in range(parquet.metadata.num_row_groups)]
    digest = hashlib.sha256(f"{file.rpartition('/')[2]} {parquet.metadata.num_rows}\n".encode())
    digest.update(footer)
    digest.update(indices.astype("<i8").data)
    return _Scan(sizes, indices, column, class_names, digest.hexdigest())


def _class_indices(named: NamedSet, labels: Any, file: str, column: str) -> Int64[np.ndarray, "R"]:
    import pyarrow

    def wrong(label: Any, row: int) -> ValueError:
        return wrong_label(named, label, f"{file}, row {row}, column '{column}'")

    if not pyarrow.types.is_integer(labels.type) and len(labels):
        raise wrong(labels[0].as_py(), 0)
    missing = labels.is_null().to_numpy()
    if missing.any():
        raise wrong(None, int(missing.argmax()))
    indices = labels.to_numpy().astype(np.int64)
    outside = (indices < 0) | (indices >= named.num_classes)
    if outside.any():
        row = int(outside.argmax())
        raise wrong(int(indices[row]), row)
    return indices


def _footer(content: Any) -> bytes:
    """Return the metadata of a parquet file: schema, row groups, offsets and sizes."""
    end = content.seek(-8, os.SEEK_END)
    length = int.from_bytes(content.read(4), "little")
    content.seek(end - length)
    return content.read(length)


def _cells(file: str, group: int, column: str, rows: np.ndarray) -> list[Any]:
    with _open(file) as content:
        parquet = opened(content)
        table = parquet.read_row_group(group, columns=[column], use_threads=False)
        check_rows(parquet.metadata.row_group(group).num_rows, len(table))
    return table.column(0).take(rows).to_pylist()


def _open(file: str) -> Any:
    if "://" not in file:
        return open(file, "rb")
    import fsspec

    filesystem, path = fsspec.url_to_fs(file)
    return filesystem.open(path, "rb")


def _tried(read: Callable[[], T], file: str, remedy: str) -> T:
    # The hub raises errors of four libraries and pyarrow its own; whatever they are, they mean "cannot be read".
    try:
        return read()
    except Exception as error:
        raise ValueError(f"{file} cannot be read ({cause(error)}): {remedy}") from error
