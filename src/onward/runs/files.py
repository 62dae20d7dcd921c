"""Files of a run: written whole or not at all, checked when read, never unpickled."""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object with its own checksum, atomically. Raises OSError if it cannot be written."""
    body = {**content, "sha256": _json_digest(content)}
    _replace(path, lambda temporary: temporary.write_text(json.dumps(body, indent=2) + "\n"))


def read_json(path: Path) -> dict[str, Any]:
    """Read what `write_json` wrote. Raises ValueError for a missing, damaged or foreign file."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; is this a run folder of onward?") from None
    except ValueError:
        raise ValueError(f"{path} is not readable JSON: it is damaged or not from onward") from None
    if not isinstance(content, dict) or "sha256" not in content:
        raise ValueError(f"{path} has no checksum: it is not from onward")
    if content.pop("sha256") != _json_digest(content):
        raise ValueError(f"{path} does not match its checksum: it was damaged or edited")
    return content


def write_tensors(path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:
    """Write tensors and JSON notes as one safetensors file with a checksum, atomically; OSError if it cannot."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(dict(notes))
    metadata = {"notes": text, "sha256": _tensor_digest(plain, text)}
    _replace(path, lambda temporary: save_file(plain, temporary, metadata))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_tensors` wrote. Raises ValueError for a missing, damaged or foreign file."""
    if not path.is_file():
        raise ValueError(f"{path} does not exist")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path} is not a readable safetensors file: it is damaged or foreign ({error})") from None
    text = metadata.get("notes", "")
    if "sha256" not in metadata:
        raise ValueError(f"{path} has no checksum: it is not from onward")
    if metadata["sha256"] != _tensor_digest(tensors, text):
        raise ValueError(f"{path} does not match its checksum: it is damaged")
    return tensors, json.loads(text)


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in place in one move."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        raise OSError(f"cannot write {path}: {error}; what was there before is untouched") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _json_digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(dict(content), sort_keys=True).encode()).hexdigest()


def _tensor_digest(tensors: Mapping[str, Tensor], notes: str) -> str:
    digest = hashlib.sha256(notes.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
