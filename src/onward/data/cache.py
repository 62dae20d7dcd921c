"""Decoded sets kept on disk: written whole or not at all, trusted only after their hashes have been checked."""

import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import PIL
import torch

from .images import Decoded, Images, checksum

# Raise it whenever the same source would decode to other pixels, labels or files.
FORMAT = 1


def cached(name: str, identity: Any, decode: Callable[[], Decoded]) -> tuple[Decoded, str]:
    """The decoded set and its checksum, from the cache when it holds exactly this source, else from `decode`.

    `identity` is anything JSON can hold that changes when the source does. A damaged entry is decoded again and a
    cache that cannot be written is done without, both with a warning.
    """
    # Another Pillow may decode a JPEG to other pixels, so its version is part of what an entry is.
    key = hashlib.sha256(json.dumps([FORMAT, PIL.__version__, identity]).encode()).hexdigest()
    root = Path(os.environ.get("ONWARD_CACHE") or Path.home() / ".cache" / "onward").expanduser()
    entry = root / f"{name}-{key[:16]}"
    found = _read(entry)
    if found is not None:
        return found
    decoded = decode()
    digest = checksum(decoded.train, decoded.test)
    _write(entry, decoded, digest)
    return decoded, digest


def _read(entry: Path) -> tuple[Decoded, str] | None:
    try:
        seal, body = (entry / "entry.json").read_text().split("\n", 1)
        if hashlib.sha256(body.encode()).hexdigest() != seal:
            raise ValueError("entry.json does not match its hash")
        facts = json.loads(body)
        arrays = {file: _map(entry / f"{file}.npy", expected) for file, expected in facts["sha256"].items()}
        train = Images(arrays["train_pixels"], arrays["train_labels"])
        test = Images(arrays["test_pixels"], arrays["test_labels"])
        return Decoded(train, test, tuple(facts["class_names"])), facts["checksum"]
    except (FileNotFoundError, NotADirectoryError) as error:
        if entry.is_dir():
            _warn(f"cache entry {entry} is incomplete ({error}): decoding again")
        return None
    except (OSError, ValueError, KeyError) as error:
        _warn(f"cache entry {entry} is damaged ({error}): decoding again")
        return None


def _map(file: Path, expected: str) -> torch.Tensor:
    if hashlib.sha256(np.memmap(file, dtype=np.uint8, mode="r").data).hexdigest() != expected:
        raise ValueError(f"{file.name} does not match its hash")
    # Copy-on-write, not "r": torch warns about read-only arrays, and the file stays as it is all the same.
    return torch.from_numpy(np.load(file, mmap_mode="c", allow_pickle=False))


def _write(entry: Path, decoded: Decoded, digest: str):
    # The whole entry is made under another name and renamed last, so nobody ever sees half of one.
    temporary = None
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{entry.name}-", dir=entry.parent))
        _fill(temporary, decoded, digest)
        shutil.rmtree(entry, ignore_errors=True)
        os.replace(temporary, entry)
    except OSError as error:
        _warn(f"cache folder {entry.parent} cannot be written ({error}): going on without it")
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _fill(folder: Path, decoded: Decoded, digest: str):
    hashes = {}
    for split, images in (("train", decoded.train), ("test", decoded.test)):
        for part, tensor in (("pixels", images.pixels), ("labels", images.labels)):
            with open(folder / f"{split}_{part}.npy", "wb") as file:
                hashing = _HashingFile(file)
                np.lib.format.write_array(hashing, tensor.numpy(), allow_pickle=False)
                hashes[f"{split}_{part}"] = hashing.sha256.hexdigest()
    facts = {"checksum": digest, "class_names": decoded.class_names, "sha256": hashes}
    body = json.dumps(facts, indent=1)
    (folder / "entry.json").write_text(hashlib.sha256(body.encode()).hexdigest() + "\n" + body)


class _HashingFile:
    """Hashes what is meant to be written, so that a fault of the disk cannot bless itself."""

    def __init__(self, file: BinaryIO):
        self.file = file
        self.sha256 = hashlib.sha256()

    def write(self, content: bytes) -> int:
        self.sha256.update(content)
        return self.file.write(content)


def _warn(message: str):
    warnings.warn(message, stacklevel=4)
