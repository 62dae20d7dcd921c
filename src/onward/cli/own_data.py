"""A recipe for a user's own images or table: `onward train --data DIR [--method M] [--net N] [--label COLUMN]`."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from onward import registry
from onward.algorithms import Algorithm, Backprop, DeepSupervision, MonoForward, PredSim
from onward.cli.usage import CommandLineError
from onward.core import TrainerSettings
from onward.data import Columns, DataSettings, Splits, is_folder, load, table_files
from onward.data.sources import label_of
from onward.nets import Architecture, TinyCNN
from onward.recipes import Recipe
from onward.runs import RunFolder
from onward.runs.model import load_model, spec_for
from onward.screen import likely, say

_STEPS = 2000  # about what a small set is trained for
_EPOCHS = (5, 60)  # the fewest and the most
_SIDE = 32  # pixels that images of several sizes are brought to
_WIDTH = 48  # channels, made to fit the classes where a method needs it
_COLUMNS = ("--label", "--task", "--ignore")
_FLAGS = ("--data", "--method", "--net", *_COLUMNS)


def own_data_flags(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Return the values of --data and the flags beside it, and all other words. CommandLineError for one with none."""
    values: dict[str, str] = {}
    left: list[str] = []
    waiting = ""
    for word in words:
        flag, equals, value = word.partition("=")
        if waiting:
            values[waiting], waiting = word, ""
        elif flag in _FLAGS:
            if flag in values:
                raise CommandLineError(f"{flag} is given twice: give it once")
            if equals:
                values[flag] = value
            else:
                waiting = flag
        else:
            left.append(word)
    empty = waiting or next((flag for flag, value in values.items() if not value or value.startswith("--")), "")
    if empty:
        raise CommandLineError(f"{empty} has no value: onward train --data DIR --method mono_forward --net TinyCNN")
    return values, left


def own_recipe(said: dict[str, str], words: Sequence[str]) -> Recipe:
    """Return a recipe for a folder of images or a table: a budget and widths that suit their number and classes.

    Raises ValueError for a method or a network that is not known, and as `load` does.
    """
    if "--data" not in said:
        flag = next(iter(said))
        raise CommandLineError(
            f"{flag} goes with images or a table of your own: onward train --data DIR {flag} {said[flag]}"
        )
    settings = _settings(said, words)
    data = load(settings)
    images = data.inputs.kind == "images"
    init, method = _flag(words, "--init"), said.get("--method", "predsim" if images else "mono_forward")
    if init is not None and not {"--method", "--net"} & said.keys():
        spec = load_model(Path(init))[1]
        algorithm, net, method = spec.algorithm, spec.net, type(spec.algorithm).__name__
        if (Path(init) / "config.json").is_file():
            method = RunFolder.open(Path(init)).recipe().name.partition("-")[0]
    else:
        algorithm, net = _method(method), _net(said.get("--net", "TinyCNN" if images else "Dense"))
        net = fitted_net(algorithm, net, data)
    batch = max(8, min(64, len(data.train) // 8))
    steps = max(1, len(data.train) // batch)
    recipe = Recipe(
        name=method.lower().replace("-", "_"),
        description=f"{'images' if images else 'data'} of your own",
        algorithm=algorithm,
        net=net,
        data=settings,
        trainer=TrainerSettings(learning_rate=2e-3, weight_decay=1e-4, warmup=0.05),
        epochs=max(_EPOCHS[0], min(_EPOCHS[1], -(-_STEPS // steps))),
        batch_size=batch,
    )
    return recipe.on_other_images(settings, label_of(settings.name))


def fitted_net(algorithm: Algorithm, net: Architecture, data: Splits) -> Architecture:
    """Return the network, its width brought to the next multiple of the classes where the method needs that."""
    changed: Any = net
    width, classes = getattr(net, "width", None), len(data.class_names)
    for size in (width, None if width is None else width + -width % classes):
        try:
            fitting = net if size == width else replace(changed, width=size)
            with torch.device("meta"):
                spec_for(algorithm, fitting, data)._network()
        except NotImplementedError:
            return net
        except ValueError:
            continue
        return fitting
    return net  # errors are raised when it is trained


def _settings(said: dict[str, str], words: Sequence[str]) -> DataSettings:
    name = said["--data"]
    path = os.path.abspath(Path(name).expanduser()) if is_folder(name) else name
    columns = _columns(said)
    if is_folder(name) and (tables := table_files(Path(path))) is not None:
        settled = tables.settled(columns)
        what = "a class" if settled.task == "classes" else "a number"
        say(f"predicts the column {settled.label}, as {what} (--label and --task choose)", error=True)
        return DataSettings(name=path, label=settled.label, task=settled.task, ignore=settled.ignore)
    if columns != Columns():
        raise CommandLineError(f"{', '.join(flag for flag in _COLUMNS if flag in said)}: {name} is no table")
    size, init = _flag(words, "--data.size"), _flag(words, "--init")
    if size is None and init is not None:
        size = str(load_model(Path(init))[1].shape[-1])
    if size is not None and size.isdigit() and int(size):
        return DataSettings(name=path, size=int(size))
    try:
        load(DataSettings(name=path))
    except ValueError as error:
        if "choose one size for all" not in str(error):
            raise
        return DataSettings(name=path, size=_SIDE)
    return DataSettings(name=path)


def as_flags(said: dict[str, str]) -> list[str]:
    """Return the flags of a recipe for the data, and the columns of a table, that were said in short."""
    columns = _columns(said)
    words = ["--data.name", said["--data"]]
    words += [] if columns.label is None else ["--data.label", columns.label]
    words += [] if columns.task is None else ["--data.task", columns.task]
    return [*words, "--data.ignore", *columns.ignore] if columns.ignore else words


def _columns(said: dict[str, str]) -> Columns:
    """Return what was said about the columns of a table."""
    task = said.get("--task")
    if task not in (None, "classes", "values"):
        raise CommandLineError(f"--task is {task!r}: give classes, or values for numbers")
    ignored = tuple(name.strip() for name in said.get("--ignore", "").split(",") if name.strip())
    return Columns(said.get("--label"), task, ignored)


def _flag(words: Sequence[str], flag: str) -> str | None:
    for before, word in zip(["", *words], words, strict=False):
        if before == flag:
            return word
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return None


def _method(name: str) -> Algorithm:
    class_name = registry.ALGORITHMS.spelled(name)
    if class_name is None:
        near = likely(name, registry.ALGORITHMS.names())
        raise ValueError(f"unknown method {name!r}{near}; `onward list` shows the methods")
    if class_name in ("Backprop", "DeepSupervision"):  # controls of a local method
        return (Backprop if class_name == "Backprop" else DeepSupervision)(of=MonoForward())
    return PredSim() if class_name == "PredSim" else registry.ALGORITHMS.find(class_name)()


def _net(name: str) -> Architecture:
    class_name = registry.NETS.spelled(name)
    if class_name is None:
        there = ", ".join(registry.NETS.names())
        raise ValueError(f"unknown network {name!r}{likely(name, registry.NETS.names())}; there are {there}")
    return TinyCNN(width=_WIDTH, dropout=0.1) if class_name == "TinyCNN" else registry.NETS.find(class_name)()
