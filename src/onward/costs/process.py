"""Peak memory of training alone, measured in a subprocess."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from onward.algorithms import Algorithm
from onward.core import LocalTrainer, TrainerSettings
from onward.costs.step import ProcessMemory
from onward.nets import Architecture
from onward.runs.codec import decode, encode
from onward.runs.model import ModelSpec
from onward.storage.typed import from_json, to_json
from onward.training.process import processor_set_up

_STEPS = 3


def fresh_process(
    algorithm: Algorithm,
    net: Architecture,
    settings: TrainerSettings,
    *,
    batch: tuple[int, ...],
    num_classes: int,
    device: torch.device,
) -> ProcessMemory:
    """Train a few steps on random images [batch, channels, height, width] in a new process.

    Returns its bytes before the first step and at the peak: on a CPU the resident set with libraries, on Linux alone;
    on CUDA the allocated and the reserved bytes. If the process fails, its error is returned.
    """
    order = {
        "algorithm": encode(algorithm),
        "net": encode(net),
        "settings": encode(settings),
        "batch": batch,
        "num_classes": num_classes,
        "device": str(device),
        "threads": torch.get_num_threads(),
    }
    command = [sys.executable, "-m", "onward.costs.process"]
    done = subprocess.run(command, input=json.dumps(order), capture_output=True, text=True)
    if done.returncode:
        error = (done.stderr.strip().splitlines() or [f"the process ended with {done.returncode}"])[-1]
        return ProcessMemory(error=error)
    return from_json(json.loads(done.stdout), ProcessMemory, "the output of the process")


def _train(order: dict[str, Any]) -> ProcessMemory:
    torch.set_num_threads(order["threads"])
    device, (size, *shape) = torch.device(order["device"]), order["batch"]
    names = tuple(str(index) for index in range(order["num_classes"]))
    spec = ModelSpec(
        decode(order["algorithm"]),
        decode(order["net"]),
        (shape[0], shape[1], shape[2]),
        names,
        (0.0,) * shape[0],
        (1.0,) * shape[0],
    )
    settings = decode(order["settings"], TrainerSettings)
    trainer = LocalTrainer(spec.build().laid_out(settings, device), settings)
    x, y = torch.rand(order["batch"], device=device), torch.arange(size, device=device) % len(names)
    before = torch.cuda.memory_allocated(device) if device.type == "cuda" else _resident("VmRSS")
    for step in range(_STEPS):
        trainer.step(x, y, step=step)
    if device.type == "cuda":
        reserved = torch.cuda.max_memory_reserved(device)
        return ProcessMemory(before, torch.cuda.max_memory_allocated(device), reserved)
    return ProcessMemory(before, _resident("VmHWM"))


def _resident(name: str) -> int:
    """Read a size of this process from Linux; getrusage would include the peak of the parent process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(name)).split()[1])


if __name__ == "__main__":
    with processor_set_up():
        json.dump(to_json(_train(json.load(sys.stdin))), sys.stdout)
