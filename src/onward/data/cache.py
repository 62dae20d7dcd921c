"""A cache of decoded sets on disk: entries are written whole or not at all, and their hashes are checked on reading."""

import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import PIL
import torch

from .images import Decoded, checksum
from .samples import images_of
from .source_files import stamp

# Raise it whenever the same source would decode to other pixels, labels or files.
FORMAT = 2

_SPLITS = ("train", "test", "validation")


@dataclass(frozen=True, eq=False)
class Entry:
    """An entry of the cache: arrays by name, and facts as JSON values."""

    arrays: dict[str, torch.Tensor]
    facts: dict[str, Any]


def cached(name: str, identity: Any, decode: Callable[[], Decoded]) -> tuple[Decoded, str]:
    """The decoded set and its checksum, from the cache when it holds exactly this source, else from `decode`.

    `identity` is anything JSON can hold that changes when the source does. A damaged entry is decoded again, and
    without a writable cache nothing is cached, both with a warning.
    """

    def make() -> Entry:
        decoded = decode()
        arrays = {
            "train_pixels": decoded.train.pixels,
            "train_labels": decoded.train.labels,
            "test_pixels": decoded.test.pixels,
            "test_labels": decoded.test.labels,
        }
        parts = [decoded.train, decoded.test]
        if decoded.validation is not None:
            arrays |= {"validation_pixels": decoded.validation.pixels, "validation_labels": decoded.validation.labels}
            parts.append(decoded.validation)
        digest = checksum(*parts)
        return Entry(arrays, {"checksum": digest, "class_names": decoded.class_names})

    entry = cached_entry(name, identity, make)
    train, test, *others = (
        images_of(entry.arrays[f"{split}_pixels"], entry.arrays[f"{split}_labels"])
        for split in _SPLITS
        if f"{split}_pixels" in entry.arrays or split != "validation"
    )
    decoded = Decoded(train, test, tuple(entry.facts["class_names"]), others[0] if others else None)
    return decoded, entry.facts["checksum"]


def cached_entry(name: str, identity: Any, make: Callable[[], Entry]) -> Entry:
    """The same for any arrays and facts: from the cache, else from `make`."""
    # Another Pillow may decode a JPEG to other pixels, so its version is part of what an entry is.
    key = hashlib.sha256(json.dumps([FORMAT, PIL.__version__, identity]).encode()).hexdigest()
    root = Path(os.environ.get("ONWARD_CACHE") or Path.home() / ".cache" / "onward").expanduser()
    folder = root / f"{name}-{key[:16]}"
    entry = _read(folder)
    if entry is None:
        entry = make()
        _write(folder, entry)
    return entry


def _read(folder: Path) -> Entry | None:
    if not folder.is_dir():
        return None
    try:
        stamp(folder / "entry.json")
        seal, body = (folder / "entry.json").read_text().split("\n", 1)
        if hashlib.sha256(body.encode()).hexdigest() != seal:
            raise ValueError("entry.json does not match its hash")
        facts = json.loads(body)
        hashes = facts.pop("sha256").items()
        return Entry({array: _map(folder / f"{array}.npy", expected) for array, expected in hashes}, facts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        _warn(f"cache entry {folder} is damaged ({error}): decoding again")
        return None


def _map(file: Path, expected: str) -> torch.Tensor:
    stamp(file)
    if hashlib.sha256(np.memmap(file, dtype=np.uint8, mode="r").data).hexdigest() != expected:
        raise ValueError(f"{file.name} does not match its hash")
    # Copy-on-write, not "r": torch warns about read-only arrays, and the file stays as it is all the same.
    return torch.from_numpy(np.load(file, mmap_mode="c", allow_pickle=False))


def _write(folder: Path, entry: Entry):
    # The whole entry is made under another name and renamed last, so that no reader sees an incomplete one.
    temporary = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        _fill(temporary, entry)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(temporary, folder)
    except OSError as error:
        _warn(f"cache folder {folder.parent} cannot be written ({error}): going on without it")
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _fill(folder: Path, entry: Entry):
    hashes = {}
    for name, tensor in entry.arrays.items():
        with open(folder / f"{name}.npy", "wb") as file:
            hashing = _HashingFile(file)
            np.lib.format.write_array(hashing, tensor.numpy(), allow_pickle=False)
            hashes[name] = hashing.sha256.hexdigest()
    body = json.dumps({**entry.facts, "sha256": hashes}, indent=1)
    (folder / "entry.json").write_text(hashlib.sha256(body.encode()).hexdigest() + "\n" + body)


class _HashingFile:
    """Hashes bytes before they reach the disk, so that a write error is detected on read."""

    def __init__(self, file: BinaryIO):
        self.file = file
        self.sha256 = hashlib.sha256()

    def write(self, content: bytes) -> int:
        self.sha256.update(content)
        return self.file.write(content)


def _warn(message: str):
    warnings.warn(message, stacklevel=5)
