"""Flags of a recipe through the command line: a run with just these settings, finite and learned, or one line."""

import contextlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from fuzz_case import Case, Target, Wrong
from fuzz_run_files import class_folders, command
from safetensors.torch import load_file

from onward.recipes.lookup import find_recipe
from onward.runs import RunFolder

_RECIPES = (
    *("deeper_forward-digits", "backprop-forward_forward-digits", "mono_forward-digits", "symba-digits"),
    *("distance_forward-digits", "hff-digits", "cafo-digits", "random_features-digits", "forward_forward-digits"),
)
_SMALL = {"width": "12", "depth": "2"}

_NUMBERS = (
    "0",
    "-1",
    "1",
    "2",
    "3",
    "0.5",
    "1e-3",
    "1e38",
    "1e300",
    "nan",
    "inf",
    "-inf",
    "1e999",
    "",
    "x",
    "0x10",
    "1_0",
)
_NUMBERS += (
    "2147483648",
    "9223372036854775808",
    "99999999999999999999",
    "None",
    "True",
    "1.5",
    "١",
    " 1",
    "1,5",
    "--x",
)

_FLAGS: dict[str, tuple[str, ...]] = {
    "epochs": _NUMBERS,
    "batch-size": _NUMBERS,
    "seed": _NUMBERS,
    "checkpoint-every": _NUMBERS,
    "workers": _NUMBERS,
    "device": ("cpu", "CPU", "hpu", "cuda:99", "", "meta", "cpu:0", "cpu:7", "auto", "mps", "privateuseone", "[red]"),
    "memory-limit": ("1KB", "1GB", "500MB", "0", "-1GB", "9" * 400 + "GB", "nan", "infGB", "1.5MB", "GB", "x"),
    "data.size": _NUMBERS,
    "data.validation-fraction": _NUMBERS,
    "data.split-seed": _NUMBERS,
    "data.buffer": _NUMBERS,
    "data.augmentation.crop": _NUMBERS,
    "data.augmentation.cutout": _NUMBERS,
    "data.augmentation.rotation": _NUMBERS,
    "data.name": ("mnist", "digit", "", ".", "/", "nothing", "./nothing", "[red]", "\x1b[2J"),
    "trainer.learning-rate": _NUMBERS,
    "trainer.final-learning-rate": _NUMBERS,
    "trainer.weight-decay": _NUMBERS,
    "trainer.momentum": _NUMBERS,
    "trainer.warmup": _NUMBERS,
    "trainer.clip-norm": _NUMBERS,
    "trainer.ema_decay": _NUMBERS,
    "trainer.micro-batches": _NUMBERS,
    "trainer.optimizer": ("adamw", "adam", "sgd", "adafactor", "muon", "Adam", ""),
    "trainer.schedule": ("cosine", "linear", "constant", "x"),
    "trainer.precision": ("fp32", "bf16", "fp16", ""),
    "trainer.order": ("joint", "cascade", "x"),
    "trainer.nothing": ("1",),
    "net.width": (*_NUMBERS, "12"),
    "net.depth": (*_NUMBERS, "3"),
    "net.dropout": _NUMBERS,
}
_SWITCHES = (
    "trainer.recompute",
    "trainer.channels-last",
    "trainer.cache-activations",
    "data.augmentation.flip",
    "compil",
)


@dataclass
class World:
    """A folder of images by class."""

    data: Path


def prepare(folder: Path) -> World:
    data = class_folders(folder / "images", each=8)
    for name in _RECIPES:
        find_recipe(name)
    with contextlib.suppress(ValueError):
        command(_words(_RECIPES[0], data, folder / "runs", []))
    return World(data)


def _words(recipe: str, data: Path, runs: Path, flags: list[str]) -> list[str]:
    given = {"data.name": str(data), "epochs": "1", "batch-size": "8", "device": "cpu", "runs-dir": str(runs)}
    net = find_recipe(recipe).net
    given |= {f"net.{name}": value for name, value in _SMALL.items() if hasattr(net, name)}
    told = {flag.partition("=")[0].removeprefix("--") for flag in flags}
    plain = [f"--{name}={value}" for name, value in given.items() if name not in told]
    return ["train", recipe, *plain, "--no-record", *flags]


def case(case: Case, world: World) -> None:
    recipe = case.draw.choice(_RECIPES)
    chosen = case.draw.sample(tuple(_FLAGS), case.draw.choice((1, 1, 2, 3)))
    flags = {name: case.draw.choice(_FLAGS[name]) for name in chosen}
    words = [f"--{name}={value}" for name, value in flags.items()]
    if case.chance(0.2):
        name = case.draw.choice(_SWITCHES)
        head, _, last = name.rpartition(".")
        words.append(f"--{head}.{case.draw.choice(('', 'no-'))}{last}")
    case.note(f"train {recipe} {' '.join(words)}")
    runs = case.folder / "runs"
    # An epoch of a few steps; more of them, or larger networks, would ask for time, not for care.
    if _long(flags):
        return
    command(_words(recipe, world.data, runs, words))
    made = [path for path in runs.glob("*/seed-*") if path.is_dir()]
    if len(made) != 1:
        raise Wrong(f"{len(made)} run folders")
    check_run(made[0], flags)


def _long(flags: dict[str, str]) -> bool:
    sizes = ("epochs", "net.width", "net.depth", "data.size", "trainer.micro-batches", "workers", "data.buffer")
    with contextlib.suppress(ValueError):
        return any(abs(float(flags.get(name, "1"))) > 100 for name in sizes if flags.get(name, "1") not in ("nan", "x"))
    return False


def check_run(path: Path, flags: dict[str, str]) -> None:
    """Raise Wrong unless a run learned, is finite and states what it was told."""
    run = RunFolder.open(path)
    recipe, result = run.recipe(), run.result()
    if result is None:
        raise Wrong("no result")
    weights = load_file(path / "model.safetensors")
    for name, value in weights.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise Wrong(f"{name} is not finite")
    numbers = [value for value in _numbers(json.loads((path / "result.json").read_text()))]
    if not all(math.isfinite(number) for number in numbers):
        raise Wrong("numbers in result.json that are not finite")
    for name, text in flags.items():
        if not name.startswith(("trainer.", "net.", "data.")) and name not in ("epochs", "batch-size", "seed"):
            continue
        value: Any = recipe
        for part in name.replace("-", "_").split("."):
            value = getattr(value, part)
        if name != "data.name" and str(value) != text and not _same_number(value, text):
            raise Wrong(f"{name} is {value!r}, not {text!r}")
    _check_learned(path, weights, recipe)


def _check_learned(path: Path, weights: dict[str, torch.Tensor], recipe: Any) -> None:
    from onward.runs import load_model

    _, spec = load_model(path)
    if recipe.trainer.learning_rate == 0 or "random" in recipe.name:
        return
    fresh = spec.build(seed=recipe.seed).state_dict()
    if all(torch.equal(value, fresh[name]) for name, value in weights.items() if name in fresh):
        raise Wrong("nothing was learned")


def _numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for inner in value.values() for number in _numbers(inner)]
    if isinstance(value, list):
        return [number for inner in value for number in _numbers(inner)]
    return [value] if isinstance(value, float) else []


def _same_number(value: Any, text: str) -> bool:
    if value is None:
        return text == "None"
    try:
        return float(value) == float(text)
    except ValueError:
        return False


TARGET = Target("settings", 2, prepare, case)
