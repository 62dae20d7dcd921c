"""Files of a run: written whole or not at all, checked when read, never unpickled."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from onward.storage.disk import open_plain, read_plain, replace
from onward.storage.strict_json import json_digest, parse


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object with its own checksum, atomically. Raises OSError if it cannot be written."""
    replace(path, json_writer(content))


def json_writer(content: Mapping[str, Any]) -> Callable[[Path], object]:
    """Return a writer of a JSON object with its own checksum, given a path. Raises ValueError for NaN or infinity."""
    body = {**content, "sha256": json_digest(content)}
    text = json.dumps(body, indent=2, allow_nan=False) + "\n"
    return lambda path: path.write_text(text)


def read_json(path: Path) -> dict[str, Any]:
    """Read what `write_json` wrote. Raises ValueError for a missing, damaged or foreign file."""
    try:
        text = read_plain(path)
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"{path} does not exist; is this a run folder of onward?") from None
    content = parse(text, str(path))
    if not isinstance(content, dict) or "sha256" not in content:
        raise ValueError(f"{path} has no checksum: it is not from onward")
    if content.pop("sha256") != json_digest(content):
        raise ValueError(f"{path} does not match its checksum: it was damaged or edited")
    return content


def write_tensors(path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:
    """Write tensors and JSON notes as one safetensors file with a checksum, atomically; OSError if it cannot."""
    replace(path, tensor_writer(tensors, notes)[0])


def tensor_writer(tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> tuple[Callable[[Path], object], str]:
    """Return a function that writes tensors and JSON notes to a path, and their digest."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(dict(notes))
    digest = _tensor_digest(plain, text)
    return lambda path: save_file(plain, path, {"notes": text, "sha256": digest}), digest


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_tensors` wrote. Raises ValueError for a missing, damaged or foreign file."""
    _check_there(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        text = metadata.get("notes", "")
        digest = _tensor_digest(tensors, text)
    except (SafetensorError, OSError, ValueError, RuntimeError, TypeError) as error:
        raise ValueError(f"{path} is not a readable safetensors file: it is damaged or foreign ({error})") from None
    if "sha256" not in metadata:
        raise ValueError(f"{path} has no checksum: it is not from onward")
    if metadata["sha256"] != digest:
        raise ValueError(f"{path} does not match its checksum: it is damaged")
    notes = parse(text.encode(), f"the notes in {path}")
    if not isinstance(notes, dict):
        raise ValueError(f"the notes in {path} are no JSON object: the file is not from onward")
    return tensors, notes


@dataclass(frozen=True)
class TensorHeader:
    """Header of a file of `write_tensors`: shape and type of each tensor, and their digest."""

    forms: dict[str, tuple[tuple[int, ...], str]]
    digest: str


def read_header(path: Path) -> TensorHeader:
    """Read the header of a tensor file, without its values. Raises ValueError as `read_tensors` does."""
    _check_there(path)
    try:
        with safe_open(path, framework="pt") as file:
            digest = (file.metadata() or {}).get("sha256", "")
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            forms = {name: (tuple(part.get_shape()), str(part.get_dtype())) for name, part in slices.items()}
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path} is not a readable safetensors file: it is damaged or foreign ({error})") from None
    if not digest:
        raise ValueError(f"{path} has no checksum: it is not from onward")
    return TensorHeader(forms, digest)


def _check_there(path: Path) -> None:
    try:
        open_plain(path).close()
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"{path} does not exist") from None


def _tensor_digest(tensors: Mapping[str, Tensor], notes: str) -> str:
    digest = hashlib.sha256(notes.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
