"""The `onward` command: list, train, evaluate, predict, export, measure, compare, report, simulate, ..."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro
from rich.console import Console
from rich.table import Table

from onward.command_line import CommandLineError, nearest, parse
from onward.compare_command import compare_command, report_command
from onward.data import load, read_image
from onward.distributed import PipelineFault
from onward.list_command import list_command
from onward.measure_command import measure_command
from onward.recipes import CONTROLS, RECIPES, Recipe
from onward.runs import Evaluator, Interrupted, Place, RunFolder, export_model, load_model, resume, train
from onward.runs.allocator import keep_freed_memory
from onward.runs.codec import encode
from onward.runs.environment import choose_device
from onward.runs.files import read_json
from onward.runs.memory_limit import fit_memory, parse_bytes
from onward.runs.method_tables import settings
from onward.runs.pipelined import Pipelining, leave, train_pipelined
from onward.runs.results import insert, record, record_path, spread, summary, write_results
from onward.runs.train import check_data
from onward.simulate_command import simulate_command

_USAGE = """usage: onward COMMAND ...

  list                     algorithms, recipes and data sets, a line each
  train [RECIPE]           carry out a recipe; without a name, the default on scikit-learn's digits
  train --resume RUN       go on with a run that was stopped
  evaluate RUN             accuracy of a finished run, by inference rule and by block
  predict RUN IMAGE...     class, confidence and the scores of each block
  export RUN --out DIR     the model without the blocks that its inference rule does not read
  measure RECIPE           operations, time and memory of a training step, beside backprop's
  compare RECIPE...        accuracy, also under noise, memory, time and energy side by side; a page with figures
  report RUN...            the same page for finished runs
  simulate RECIPE          a pipeline over many devices on paper: step time, utilisation, memory of each stage
  reproduce RECIPE         run it with several seeds and stand the result beside the published number
  results                  make results/RESULTS.md from the recorded runs

`onward COMMAND --help` explains a command; `onward train RECIPE --help` lists what can be changed in a recipe.
"""

_TRAIN_USAGE = """usage: onward train [RECIPE] [--FLAG VALUE ...]
       onward train --resume RUN

Carries out a recipe (`onward list` names them) and writes a run folder: configuration, metrics, checkpoint, model,
result. Without a recipe, the default trains on scikit-learn's digits.

  --epochs INT             times through the training split
  --batch-size INT         images per step
  --seed INT               weights, order, augmentation and dropout
  --data-dir PATH          local data sets, one folder of parquet files each; else $ONWARD_DATA, else the hub
  --device NAME            cpu, cuda, cuda:1 or auto
  --runs-dir PATH          where run folders are made (runs)
  --checkpoint-every S     seconds between checkpoints (60)
  --workers N              processes that decode a streamed set (one per core that is left over)
  --compile                compile every body with torch.compile; the same result up to rounding
  --resume RUN             go on with a run that was stopped
  --pipeline               spread the blocks over the processes that torchrun started
  --stages, --replicas, --messages, --balance, --patience
                           how a pipeline is spread, and when a rank counts as hung; see `onward train RECIPE --help`
  --memory-limit SIZE      cut the batch into pieces until a step fits, such as 500MB; not for --resume
  --no-record              do not file the result under results/
  --net.*  --data.*  --trainer.*  --algorithm.*
                           everything else in the recipe, such as --trainer.precision bf16

`onward train RECIPE --help` lists every flag of a recipe with its type, meaning and value.
"""

_RESULTS = Path("results")
_out = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class TrainArguments:
    recipe: Annotated[Recipe, tyro.conf.arg(name="")]
    place: Annotated[Place, tyro.conf.arg(name="")]
    memory_limit: str | None = None
    """Most memory for the tensors of a training step, such as 500MB: the batch is cut into pieces until it fits."""
    record: bool = True
    """File the result under results/ if nothing but seed and place was changed."""
    pipeline: bool = False
    """Spread the blocks over the processes that torchrun started."""
    pipelining: Annotated[Pipelining, tyro.conf.arg(name="")] = field(default_factory=Pipelining)


@dataclass(frozen=True)
class ResumeArguments:
    resume: Path
    """Run folder to go on with."""
    place: Annotated[Place, tyro.conf.arg(name="")]
    pipeline: bool = False
    """Spread the blocks over the processes that torchrun started."""
    pipelining: Annotated[Pipelining, tyro.conf.arg(name="")] = field(default_factory=Pipelining)
    record: bool = True
    """File the result under results/ if nothing but seed and place was changed."""


@dataclass(frozen=True)
class EvaluateArguments:
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Run folder."""
    split: Literal["test", "validation", "train"] = "test"
    """Which images."""
    data_dir: Path | None = None
    """Folder with one parquet folder per named data set; otherwise $ONWARD_DATA, otherwise the hub."""
    device: str = "auto"
    """cpu, cuda, cuda:1, or auto."""


@dataclass(frozen=True)
class PredictArguments:
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Run folder."""
    images: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE...")]
    """Image files; they are converted and resized to what the network takes."""
    rule: str | None = None
    """Inference rule; the run's headline rule unless named."""
    json: bool = False
    """Print JSON lines."""
    top: int = 5
    """How many classes to show for each block."""


@dataclass(frozen=True)
class ExportArguments:
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Run folder."""
    out: Path
    """New folder for the model; predict and evaluate take it as they take a run."""
    rule: str | None = None
    """Inference rule to keep; the run's headline rule unless named."""


@dataclass(frozen=True)
class ReproduceArguments:
    recipe: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RECIPE")]
    """Recipe name."""
    place: Annotated[Place, tyro.conf.arg(name="")]
    seeds: int = 3
    """Seeds 0 to N-1; those already recorded are not run again."""


@dataclass(frozen=True)
class ResultsArguments:
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")] = _RESULTS
    """Folder with runs/RECIPE/seed-N.json."""
    into: Path | None = None
    """Text file whose lines between `<!-- results -->` and `<!-- /results -->` become the tables of methods."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code: 0, 2 for a user's error with one line, 128 + signal if stopped."""
    words = sys.argv[1:] if arguments is None else arguments
    if not words or words[0] in ("-h", "--help"):
        print(_USAGE, end="")
        return 0 if words else 2
    commands = _commands()
    keep_freed_memory()
    torch.set_flush_denormal(True)  # numbers too small to matter would slow a processor down by half
    try:
        if words[0] not in commands:
            raise CommandLineError(f"unknown command {words[0]!r}{nearest(words[0], commands)}; see onward --help")
        commands[words[0]](words[1:])
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        return stop.exit_code
    except PipelineFault as fault:
        leave(str(fault))
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("onward: stopped", file=sys.stderr)
        return 130
    except torch.OutOfMemoryError:
        print("onward: the device has too little memory; try a smaller --batch-size or --memory-limit", file=sys.stderr)
        return 2
    except (ValueError, OSError) as error:
        print(f"onward: {error}", file=sys.stderr)
        return 2
    finally:
        torch.set_flush_denormal(False)
    return 0


def _commands() -> dict[str, Callable[[list[str]], None]]:
    return {
        "list": list_command,
        "train": _train,
        "evaluate": _evaluate,
        "predict": _predict,
        "export": _export,
        "measure": lambda words: measure_command(words, find_recipe),
        "compare": lambda words: compare_command(words, find_recipe),
        "report": report_command,
        "simulate": lambda words: simulate_command(words, find_recipe),
        "reproduce": _reproduce,
        "results": _results,
    }


def find_recipe(name: str) -> Recipe:
    """Return a recipe by name. Raises ValueError naming the nearest ones."""
    recipes = _recipes()
    if name not in recipes:
        raise ValueError(f"unknown recipe {name!r}{nearest(name, recipes)}; `onward list` shows all")
    return recipes[name]


def _recipes() -> dict[str, Recipe]:
    return {recipe.name: recipe for recipe in (*CONTROLS, *RECIPES)}


def _train(words: list[str]) -> None:
    if words[:1] in (["-h"], ["--help"]):
        print(_TRAIN_USAGE, end="")
        return
    if any(word == "--resume" or word.startswith("--resume=") for word in words):
        order = parse(ResumeArguments, "train", words)
        recipe, path = None, order.resume
    else:
        named = bool(words) and not words[0].startswith("-")
        recipe = find_recipe(words[0]) if named else RECIPES[0]
        default = TrainArguments(recipe, Place())
        order = parse(TrainArguments, f"train {recipe.name}", words[named:], default=default)
        recipe, path = _within(order), None
    if order.pipeline:
        done = train_pipelined(recipe, order.place, order.pipelining, resume=path)
    elif order.pipelining != Pipelining():
        raise CommandLineError("--stages, --replicas, --messages, --balance and --patience belong to --pipeline")
    else:
        done = resume(path, order.place) if path is not None else train(recipe or RECIPES[0], order.place)
    if done is None:  # another process writes
        return
    folder, result = done
    _report(folder, result)
    if order.record:
        _record(folder.recipe(), result, order.pipelining)


def _within(order: TrainArguments) -> Recipe:
    """Return the ordered recipe, changed so that it stays within the memory limit."""
    if order.memory_limit is None:
        return order.recipe
    limit, device = parse_bytes(order.memory_limit), choose_device(order.place.device)
    data = load(order.recipe.data, data_dir=order.place.data_dir, workers=order.place.workers)
    fitting = fit_memory(order.recipe, data, limit, device)
    print(f"memory limit  {order.memory_limit}: {fitting}")
    return replace(order.recipe, trainer=fitting.settings)


def _report(folder: RunFolder, result: dict) -> None:
    others = [f"{rule} {value:.2%}" for rule, value in result["test_accuracy_by_rule"].items()]
    print(f"test accuracy {result['test_accuracy']:.2%}  ({', '.join(others)})")
    if result["published"]:
        print(f"published     {result['published']['test_accuracy']:.2%}  {result['published']['source']}")
    if result["data_note"]:
        print(f"data          {result['data_note']}")
    print(f"run           {folder.path}")


def _record(recipe: Recipe, result: dict, how: Pipelining) -> None:
    """File a result, unless it is not that of a recipe in the list; `how` was asked for now, if not at the start."""
    known, begun = _recipes().get(recipe.name), result.get("pipeline", {})
    if known is None:
        print(f"not recorded: `onward list` shows no recipe {recipe.name!r}")
        return
    if replace(recipe, seed=0) != known:
        print("not recorded: the recipe was changed by flags")
        return
    if "bf16" in (how.messages, begun.get("messages")):
        print("not recorded: messages were rounded to bf16")
        return
    replaced = record_path(_RESULTS, result).exists()
    print(f"recorded      {record(_RESULTS, result)}{' (in place of an earlier run)' if replaced else ''}")


def _evaluate(words: list[str]) -> None:
    order = parse(EvaluateArguments, "evaluate", words)
    folder = RunFolder.open(order.run)
    recipe = folder.recipe()
    learner, _ = load_model(order.run)
    data = load(recipe.data, data_dir=order.data_dir)
    if (order.run / "environment.json").is_file():  # an export has none
        check_data(folder, data)
    learner.to(choose_device(order.device))
    if recipe.trainer.channels_last:
        learner.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    images = getattr(data, order.split)
    accuracy = Evaluator(learner, recipe.trainer).accuracy(images)
    table = Table(title=f"{recipe.name}, {len(images):,} {order.split} images of {data.note or data.name}")
    table.add_column("read-out")
    table.add_column("accuracy %", justify="right")
    for name, value in accuracy.by_rule.items():
        table.add_row(name, f"{100 * value:.2f}")
    for block, value in enumerate(accuracy.by_block):
        table.add_row(f"scored block {block}", f"{100 * value:.2f}")
    _out.print(table)


def _predict(words: list[str]) -> None:
    order = parse(PredictArguments, "predict", words)
    if not order.images:
        raise ValueError("no image named: onward predict RUN IMAGE...")
    if order.top < 1:
        raise ValueError(f"--top must be at least 1, got {order.top}")
    learner, spec = load_model(order.run)
    channels, height, width = spec.shape
    images = torch.stack([read_image(path, channels=channels, size=(height, width)) for path in order.images])
    scores = learner.predict_scores(images, rule=order.rule)
    blocks = learner.score_blocks(images)
    for k, path in enumerate(order.images):
        show = _print_json if order.json else _print_prediction
        show(path, order.rule or learner.headline, spec.class_names, scores[k], blocks[:, k], order.top)


def _print_prediction(path: Path, rule: str, names: tuple[str, ...], scores, blocks, top: int) -> None:
    confidence = scores.softmax(dim=0)
    best = int(confidence.argmax())
    shown = scores.topk(min(top, len(names))).indices.tolist()
    _out.print(f"{path}: {names[best]} (confidence {float(confidence[best]):.1%}, softmax of the {rule} scores)")
    table = Table("scores", *[names[c] for c in shown])
    for block, row in enumerate(blocks):
        table.add_row(f"block {block}", *[f"{float(row[c]):.3f}" for c in shown])
    _out.print(table)


def _print_json(path: Path, rule: str, names: tuple[str, ...], scores, blocks, top: int) -> None:
    confidence = scores.softmax(dim=0)
    best = int(confidence.argmax())
    row = {"image": str(path), "rule": rule, "class": names[best], "confidence": float(confidence[best])}
    print(json.dumps({**row, "block_scores": blocks.tolist(), "class_names": names}))


def _export(words: list[str]) -> None:
    order = parse(ExportArguments, "export", words)
    export = export_model(order.run, order.out, rule=order.rule)
    before, after = export.before, export.after
    print(f"rule          {export.rule}, the only one that is kept")
    print(f"blocks        {before.blocks} -> {after.blocks}")
    print(f"parameters    {before.parameters:,} -> {after.parameters:,}")
    print(f"weights file  {before.file_bytes:,} -> {after.file_bytes:,} bytes")
    print(f"model         {order.out}")


def _reproduce(words: list[str]) -> None:
    order = parse(ReproduceArguments, "reproduce", words)
    if order.seeds < 1:
        raise ValueError(f"--seeds must be at least 1, got {order.seeds}")
    recipe = find_recipe(order.recipe)
    ours = [_recorded(replace(recipe, seed=seed), order.place) for seed in range(order.seeds)]
    print(f"{recipe.name}: {spread(ours)} % over {len(ours)} seeds")
    if recipe.published:
        target = recipe.published.test_accuracy
        gap = sum(ours) / len(ours) - target
        print(f"published: {100 * target:.2f} % ({recipe.published.source}); ours {100 * gap:+.2f}")
    if recipe.backprop:
        print(f"the same network by backprop: onward reproduce {recipe.backprop} --seeds {order.seeds}")


def _recorded(recipe: Recipe, place: Place) -> float:
    """Return the test accuracy on record for this recipe and seed, or train it and put it on record."""
    path = record_path(_RESULTS, {"recipe": recipe.name, "seed": recipe.seed})
    result = read_json(path) if path.exists() else None
    if result is None or settings(result) != settings({"config": encode(recipe)}):  # texts may differ
        folder, result = train(recipe, place)
        _report(folder, result)
        record(_RESULTS, result)
    return result["test_accuracy"]


def _results(words: list[str]) -> None:
    order = parse(ResultsArguments, "results", words)
    if not (order.folder / "runs").is_dir():
        raise ValueError(f"{order.folder / 'runs'} does not exist; `onward train RECIPE` records finished runs there")
    page = write_results(order.folder)
    print(page)
    if order.into is not None:
        insert(order.into, summary(order.folder))
        print(order.into)
