"""Peak memory of training alone, measured in a subprocess."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from onward.core import LocalTrainer, TrainerSettings
from onward.costs.step import ProcessMemory
from onward.recipes.lookup import import_file, imported_files
from onward.runs.codec import decode, encode
from onward.runs.model import ModelSpec, content_of, spec_of
from onward.storage.typed import from_json, to_json
from onward.training.process import processor_set_up

_STEPS = 3


def fresh_process(spec: ModelSpec, settings: TrainerSettings, *, rows: int, device: torch.device) -> ProcessMemory:
    """Train a few steps on random batches of `rows` samples in a new process, which imports the same Python files.

    Returns its bytes before the first step and at the peak: on a CPU the resident set with libraries, on Linux alone;
    on CUDA the allocated and the reserved bytes. If the process fails, its error is returned.
    """
    order = {
        "files": list(map(str, imported_files())),
        "spec": content_of(spec),
        "settings": encode(settings),
        "rows": rows,
        "device": str(device),
        "threads": torch.get_num_threads(),
    }
    command = [sys.executable, "-m", "onward.costs.process"]
    done = subprocess.run(command, input=json.dumps(order), capture_output=True, text=True)
    if done.returncode:
        error = (done.stderr.strip().splitlines() or [f"the process ended with {done.returncode}"])[-1]
        return ProcessMemory(error=error)
    return from_json(json.loads(done.stdout.splitlines()[-1]), ProcessMemory, "the output of the process")


def _train(order: dict[str, Any]) -> ProcessMemory:
    torch.set_num_threads(order["threads"])
    device, rows = torch.device(order["device"]), order["rows"]
    for file in order["files"]:
        import_file(Path(file))
    spec = spec_of(order["spec"], Path("the order"))
    settings = decode(order["settings"], TrainerSettings)
    trainer = LocalTrainer(spec.build().laid_out(settings, device), settings)
    x, y = _inputs(spec, rows).to(device), _targets(spec, rows).to(device)
    before = torch.cuda.memory_allocated(device) if device.type == "cuda" else _resident("VmRSS")
    for step in range(_STEPS):
        trainer.step(x, y, step=step)
    if device.type == "cuda":
        reserved = torch.cuda.max_memory_reserved(device)
        return ProcessMemory(before, torch.cuda.max_memory_allocated(device), reserved)
    return ProcessMemory(before, _resident("VmHWM"))


def _inputs(spec: ModelSpec, rows: int) -> torch.Tensor:
    """Return random inputs of the description's form; of tokens the first word, as their number is not known."""
    if spec.form is not None and spec.form.kind == "tokens":
        return torch.zeros(rows, *spec.shape, dtype=torch.long)
    return torch.rand(rows, *spec.shape)


def _targets(spec: ModelSpec, rows: int) -> torch.Tensor:
    outputs = len(spec.class_names)
    if spec.target is None:
        return torch.arange(rows) % outputs
    return torch.rand(rows, outputs).round() if spec.target.task == "labels" else torch.rand(rows, outputs)


def _resident(name: str) -> int:
    """Read a size of this process from Linux; getrusage would include the peak of the parent process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(name)).split()[1])


if __name__ == "__main__":
    with processor_set_up():
        json.dump(to_json(_train(json.load(sys.stdin))), sys.stdout)
