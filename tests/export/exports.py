"""Small trained learners of every algorithm, and their exports' own runtimes."""

import ctypes
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from onward.algorithms import ALGORITHMS, Algorithm, EarlyExits
from onward.core import LocalTrainer, TrainerSettings
from onward.data import Splits, from_arrays
from onward.export import Learning, Model, model_of
from onward.export.exporting import Format, write_files
from onward.nets import MLP, Architecture, TinyCNN
from onward.runs import spec_for
from onward.training import Evaluator

EVERY = (*(algorithm() for algorithm in ALGORITHMS), EarlyExits(heads="trained"))
NETS = {"MLP": MLP(width=12, depth=3), "CNN": TinyCNN(width=3, dropout=0.0)}


def each(*quick: type[Algorithm], nets: tuple[str, ...] = ("MLP", "CNN"), among=EVERY):
    """Return parameters for every algorithm on every net that it takes; all but the quick ones are slow."""
    found = []
    for algorithm in among:
        name = type(algorithm).__name__
        for net in nets if name != "RecurrentForwardForward" else ("MLP",):
            marks = [] if type(algorithm) in quick else [pytest.mark.slow]
            case = f"{name}{'-trained' if getattr(algorithm, 'heads', '') == 'trained' else ''}-{net}"
            found.append(pytest.param(algorithm, NETS[net], marks=marks, id=case))
    return found


def toy_images() -> Splits:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (60, 1, 8, 8), dtype=torch.uint8, generator=generator)
    return from_arrays(pixels, torch.arange(60) % 3)


def trained(algorithm: Algorithm, net: Architecture, data: Splits, *, rule: str | None = None) -> Model:
    """Return a model after two steps, its rules fitted."""
    spec = spec_for(algorithm, net, data)
    learner = spec.build(seed=0)
    trainer = LocalTrainer(learner, TrainerSettings())
    for step in range(2):
        trainer.step(data.train.pixels[:12], data.train.labels[:12], step=step)
    Evaluator(learner, TrainerSettings()).fit_rules(data.train, data.validation)
    return model_of(learner, spec, rule, name="toy")


def written(model: Model, folder: Path, format: Format, learning: Learning | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_files(model, folder, format, learning)
    return folder


def needs(program: str) -> str:
    """Return where a program lies, or skip the test, with the reason."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"needs {program} on this machine")
    return found


@dataclass
class Compiled:
    """A C export as a shared library."""

    code: ctypes.CDLL
    classes: int

    def scores(self, images: Tensor, kind: str = "") -> Tensor:
        rows = []
        for image in images.numpy():
            row = np.zeros(self.classes, np.float32)
            flat = np.ascontiguousarray(image).ravel()
            getattr(self.code, f"onward_scores{kind}")(flat.ctypes.data_as(ctypes.c_void_p), _floats(row))
            rows.append(row)
        return torch.from_numpy(np.array(rows))

    def learn(self, images: Tensor, labels: Tensor, rate: float) -> float:
        flat = np.ascontiguousarray(images.numpy()).ravel()
        numbers = labels.numpy().astype(np.int32)
        return self.code.onward_learn(_floats(flat), numbers.ctypes.data_as(ctypes.c_void_p), ctypes.c_float(rate))


def _floats(array: np.ndarray):
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_float))


def compiled(folder: Path, classes: int) -> Compiled:
    """Compile a C export, warnings being errors."""
    words = [needs("cc"), "-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unused", "-shared", "-fPIC"]
    path = folder / "model.so"
    subprocess.run([*words, "-o", str(path), str(folder / "model.c"), "-lm"], check=True, timeout=120)
    library = ctypes.CDLL(str(path))
    if hasattr(library, "onward_learn"):
        library.onward_learn.restype = ctypes.c_float
    return Compiled(library, classes)


_SCRIPT = """
import {{ readFileSync }} from "node:fs";
import * as model from "{module}";
const given = JSON.parse(readFileSync(0, "utf8"));
const losses = (given.steps ?? []).map((s) => model.learn(Float32Array.from(s.images), s.labels, s.rate));
const scores = given.images.map((image) => Array.from(model.scores(Float32Array.from(image))));
console.log(JSON.stringify({{ scores, losses, classes: model.classNames }}));
"""


def in_node(folder: Path, images: Tensor, steps: list[tuple[Tensor, Tensor, float]] | None = None) -> dict:
    """Return what Node makes of a JavaScript export: losses of the steps, then scores of the images."""
    given = {"images": images.flatten(1).tolist()}
    given["steps"] = [{"images": x.flatten().tolist(), "labels": y.tolist(), "rate": r} for x, y, r in steps or []]
    script = folder / "test.mjs"
    script.write_text(_SCRIPT.format(module=(folder / "model.mjs").as_uri()))
    done = subprocess.run(
        [needs("node"), str(script)], input=json.dumps(given), capture_output=True, text=True, timeout=120, check=True
    )
    return json.loads(done.stdout)
