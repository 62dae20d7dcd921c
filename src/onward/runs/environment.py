"""The environment of a run: versions, device, commit."""

import importlib.metadata
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

import torch

_PACKAGES = ("onward", "torch", "numpy", "datasets", "kornia", "safetensors", "scikit-learn")


@dataclass(frozen=True)
class Machine:
    """Machine and software: versions of packages (None: not installed), system, processor, threads and commit."""

    versions: dict[str, str | None]
    platform: str
    device: str
    threads: int
    commit: str | None


def choose_device(name: str) -> torch.device:
    """Return the device called `name`; "auto" is the GPU if there is one.

    Raises ValueError for a device that this machine or this build of torch does not have.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError, ImportError, AttributeError, TypeError):
        raise ValueError(f"device {name!r} cannot be used here; try --device cpu or --device auto") from None
    if device.type == "meta":
        raise ValueError("device 'meta' holds no numbers to train; try --device cpu or --device auto")
    return device


def environment(device: torch.device) -> Machine:
    """Describe the machine and the software."""
    return Machine(
        versions={"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
        platform=platform.platform(),
        device=device_name(device),
        threads=torch.get_num_threads(),
        commit=commit(),
    )


def device_name(device: torch.device) -> str:
    """Return the processor's name, as given by its manufacturer."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{_processor()}, {threads} thread{'s' * (threads != 1)}" if device.type == "cpu" else str(device)


def commit() -> str | None:
    """Return the commit of this package's own checkout, with `-dirty` if its source differs; None if installed."""
    root = Path(__file__).resolve().parent
    head = _git(root, "rev-parse", "HEAD")
    if head is None or _git(root, "ls-files", "--error-unmatch", __file__) is None:
        return None
    return head + ("-dirty" if _git(root, "status", "--porcelain", "--", str(root.parent)) else "")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
