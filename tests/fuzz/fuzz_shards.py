"""Parquet shards of a named set, whole, odd and damaged: the images and labels written, or refused by name."""

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from fuzz_case import Case, Target, Wrong
from fuzz_images import damaged
from PIL import Image
from pyarrow import parquet

from onward.data import DataSettings, Splits, load

_SIDE = 8


@dataclass
class World:
    """Small images in PNG, and what they decode to."""

    cells: list[bytes]
    pixels: list[bytes]


def prepare(folder: Path) -> World:
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 256, (_SIDE, _SIDE), dtype="u1") for _ in range(48)]
    world = World([_png(array) for array in arrays], [array.tobytes() for array in arrays])
    root = folder / "data"
    _written(world, root / "mnist", range(30), "train-00000-of-00001.parquet", _plain)
    _written(world, root / "mnist", range(30, 48), "test-00000-of-00001.parquet", _plain)
    load(DataSettings(name="mnist", size=_SIDE), data_dir=root)  # imports what it needs
    return world


def _png(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(array).save(content, "PNG")
    return content.getvalue()


def _labels(rows: range) -> list[int]:
    return [row % 10 for row in rows]


def _plain(world: World, rows: range) -> pyarrow.Table:
    cells = [{"bytes": world.cells[row], "path": None} for row in rows]
    return pyarrow.table({"image": cells, "label": _labels(rows)})


def _written(
    world: World, folder: Path, rows: range, name: str, table: Callable[..., pyarrow.Table], **more: Any
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table(world, rows), path, **more)
    return path


def case(case: Case, world: World) -> None:
    root = case.folder / case.draw.choice(("data", "x[1]", "x*", "x?", "{a,b}", "a b", "é", "%41", "#x", "~"))
    if case.chance(0.5):
        (case.folder / "x1").mkdir()  # what a pattern would find instead
        _written(world, case.folder / "x1" / "mnist", range(18), "train-00000-of-00001.parquet", _plain)
        _written(world, case.folder / "x1" / "mnist", range(18, 30), "test-00000-of-00001.parquet", _plain)
    case.note(root.name)
    folder = root / "mnist" / case.draw.choice(("", "", "data", "mnist"))
    case.names = (str(root), "mnist")
    way = case.draw.choices((_series, _columns, _bytes, _cells), (4, 4, 6, 3))[0]
    refused = way(case, world, folder)
    buffer = 10 if case.chance(0.25) else None
    case.note(f"buffer {buffer}")
    data = load(
        DataSettings(name="mnist", size=_SIDE, buffer=buffer, validation_fraction=0.3), data_dir=root, workers=0
    )
    _check(data, world)
    if refused:
        raise Wrong("it was accepted")


def _check(data: Splits, world: World) -> None:
    """Raise Wrong unless every image has its own label and is there once."""
    seen = []
    for split, rows in ((data.train, range(30)), (data.validation, range(30)), (data.test, range(30, 48))):
        wanted = {world.pixels[row]: row % 10 for row in rows}
        for pixels, labels in split.in_order(16):
            for image, label in zip(pixels.numpy(), labels.tolist(), strict=True):
                content = np.ascontiguousarray(image).tobytes()
                if wanted.get(content) != label:
                    raise Wrong(f"an image of label {wanted.get(content)} has label {label}")
                seen.append(content)
    if len(seen) != 48 or len(set(seen)) != 48:
        raise Wrong(f"{len(seen)} images, {len(set(seen))} of them different, in place of 48")


def _both(world: World, folder: Path, **more: Any) -> tuple[Path, Path]:
    train = _written(world, folder, range(30), "train-00000-of-00001.parquet", _plain, **more)
    return train, _written(world, folder, range(30, 48), "test-00000-of-00001.parquet", _plain, **more)


def _series(case: Case, world: World, folder: Path) -> bool:
    """Names of shards: complete series in each layout of the hub are read in order, incomplete ones refused."""
    way = case.pick(
        ("whole", "two", "hash", "missing", "beyond", "huge", "double", "other", "plain", "folder", "pipe", "loop")
    )
    train, _ = _both(world, folder, row_group_size=case.draw.choice((5, 100)))
    first, second = range(13), range(13, 30)
    if way == "whole":
        return False
    if way in ("plain", "folder"):
        train.rename(folder / ("train.parquet" if way == "plain" else "moved"))
        if way == "folder":
            (folder / "train").mkdir()
            (folder / "moved").rename(folder / "train" / "0.parquet")
        return False
    if way in ("pipe", "loop"):
        train.unlink()
        os.mkfifo(train) if way == "pipe" else train.symlink_to(train)
        return True
    if way == "other":
        _written(world, folder, range(3), "train-00000-of-00007.parquet", _plain)
        return True
    if way == "double":
        _written(world, folder, range(3), "train-00000-of-00001-0123abcd.parquet", _plain)
        return True
    train.unlink()
    hashed = "-0123456789abcdef" if way == "hash" else ""
    total, number = {"missing": (3, 1), "beyond": (2, 2), "huge": (99999999999, 1)}.get(way, (2, 1))
    _written(world, folder, first, f"train-{0:05}-of-{total:05}{hashed}.parquet", _plain)
    _written(world, folder, second, f"train-{number:05}-of-{total:05}{hashed}.parquet", _plain)
    return way in ("missing", "beyond", "huge")


def _columns(case: Case, world: World, folder: Path) -> bool:
    """Columns of other names and kinds."""
    train, _ = _both(world, folder)
    way = case.draw.choice(tuple(_TABLES))
    case.note(way)
    make, refused = _TABLES[way]
    parquet.write_table(make(_plain(world, range(30))), train)
    return refused


def _with_labels(values: Any, kind: Any = None) -> Callable[[pyarrow.Table], pyarrow.Table]:
    def make(table: pyarrow.Table) -> pyarrow.Table:
        return table.set_column(1, "label", pyarrow.array(values(table["label"].to_pylist()), kind))

    return make


_TABLES: dict[str, tuple[Callable[[pyarrow.Table], pyarrow.Table], bool]] = {
    "int8 labels": (_with_labels(lambda y: y, pyarrow.int8()), False),
    "uint64 labels": (_with_labels(lambda y: y, pyarrow.uint64()), False),
    "dictionary labels": (lambda t: t.set_column(1, "label", t["label"].dictionary_encode()), False),
    "float labels": (_with_labels(lambda y: [float(v) for v in y]), True),
    "text labels": (_with_labels(lambda y: [str(v) for v in y]), True),
    "boolean labels": (_with_labels(lambda y: [v > 0 for v in y]), True),
    "decimal labels": (_with_labels(lambda y: y, pyarrow.decimal128(9, 2)), True),
    "dates as labels": (_with_labels(lambda y: y, pyarrow.date32()), True),
    "lists as labels": (_with_labels(lambda y: [[v] for v in y]), True),
    "a missing label": (_with_labels(lambda y: [None, *y[1:]]), True),
    "a label of -1": (_with_labels(lambda y: [*y[:-1], -1]), True),
    "a label of 10": (_with_labels(lambda y: [10, *y[1:]]), True),
    "a label of 2**40": (_with_labels(lambda y: [2**40, *y[1:]]), True),
    "-1 as uint64": (_with_labels(lambda y: [2**64 - 1, *y[1:]], pyarrow.uint64()), True),
    "no labels": (lambda t: t.drop_columns(["label"]), True),
    "no images": (lambda t: t.drop_columns(["image"]), True),
    "no rows": (lambda t: t.slice(0, 0), True),
    "other names": (lambda t: t.rename_columns(["picture", "class"]), True),
    "two of one name": (lambda t: t.append_column("label", t["label"].take(list(range(len(t)))[::-1])), True),
    "more columns": (lambda t: t.append_column("\x1b[2J", t["label"]), False),
    "other order": (lambda t: t.select(["label", "image"]), False),
    "images as bytes": (lambda t: t.set_column(0, "image", [[c["bytes"] for c in t["image"].to_pylist()]]), False),
    "images as text": (lambda t: t.set_column(0, "image", [["x"] * len(t)]), True),
    "paths alone": (lambda t: t.set_column(0, "image", [[{"bytes": None, "path": "x.png"}] * len(t)]), True),
    "missing images": (lambda t: t.set_column(0, "image", [[None, *t["image"].to_pylist()[1:]]]), True),
    "foreign features": (lambda t: t.replace_schema_metadata({"huggingface": '{"info": {"features": 3}}'}), True),
    "broken features": (lambda t: t.replace_schema_metadata({"huggingface": "{"}), True),
}
"""By name: what a shard is turned into, and whether it has to be refused."""


def _bytes(case: Case, world: World, folder: Path) -> bool:
    """Damage to a file whose pages have checksums: other labels or images may not come out of it."""
    more = {"compression": case.draw.choice(("snappy", "none", "zstd", "gzip")), "write_page_checksum": True}
    train, test = _both(world, folder, row_group_size=case.draw.choice((7, 100)), **more)
    victim = case.draw.choice((train, test))
    victim.write_bytes(damaged(case, victim.read_bytes()))
    return False


def _cells(case: Case, world: World, folder: Path) -> bool:
    """Damage to the file of an image inside a shard; PNG has checksums."""
    train, _ = _both(world, folder)
    table = _plain(world, range(30))
    cells = table["image"].to_pylist()
    at = case.draw.randrange(30)
    cells[at]["bytes"] = damaged(case, cells[at]["bytes"])
    parquet.write_table(table.set_column(0, "image", [cells]), train)
    return False


TARGET = Target("shards", 6, prepare, case)
