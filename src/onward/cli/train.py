"""The command `onward train`: trains a recipe, or resumes a stopped run."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import tyro

from onward.cli.arguments import parse
from onward.cli.flags import RecipeFlags, flags_of
from onward.cli.own_data import as_flags, own_data_flags, own_recipe
from onward.cli.recording import file_result, report
from onward.cli.usage import CommandLineError, fitted
from onward.core import Range
from onward.costs.memory_limit import fit_memory, parse_bytes
from onward.data import located
from onward.data.sources import label_of, moved
from onward.pipeline.run import Outcome, Pipelining, train_pipelined
from onward.recipes import Recipe, control, lookup
from onward.recipes.lookup import find_recipe
from onward.runs import RunOptions, resume, train
from onward.runs.environment import choose_device
from onward.runs.finished import open_run
from onward.runs.start_messages import images_of
from onward.runs.train import check_data
from onward.screen import say

USAGE = """usage: onward train [RECIPE] [--FLAG VALUE ...]
       onward train FILE.py:RECIPE [--FLAG VALUE ...]
       onward train --data DIR|FILE.csv [--method M] [--net N] [--init RUN]
       onward train --resume RUN [--epochs INT]

Carries out a recipe (`onward list` names them) and writes a run folder: configuration, metrics, checkpoint, model,
result. Without a recipe, the default trains on scikit-learn's digits.

  --epochs INT             passes over the training split
  --batch-size INT         images per step
  --control NAME           train a control of the recipe instead: backprop, deep_supervision, recompute,
                           accumulate or random_features
  --seed INT               weights, order, augmentation and dropout
  --data-dir PATH          local named sets, one folder of parquet files each; else $ONWARD_DATA, else the hub
  --class-weights W...     times the loss of each class: balanced, or a number for each in the order of their names
  --device NAME            cpu, cuda, cuda:1 or auto
  --runs-dir PATH          where run folders are made (runs)
  --checkpoint-every S     seconds between checkpoints (60)
  --workers N              processes that decode a streamed set
  --log tensorboard        write the numbers of every epoch for TensorBoard too
  --data DIR               a folder of your images: budget, widths and name are chosen for it
  --data FILE.csv          a table (.csv, .tsv or .parquet), or a folder with train.csv and test.csv
  --label COLUMN           its column that is predicted; --task classes or values says as what, --ignore A,B leaves
                           columns out
  --method M, --net N      what to train on it (predsim, TinyCNN); `onward list` shows others
  --init RUN               begin with the weights of a finished run, for the same classes or others
  --resume RUN             resume a run that was stopped; with --epochs train a finished one further
  --pipeline               spread the blocks over the processes of torchrun
  --stages, --replicas, --messages, --balance, --patience
                           how a pipeline is spread, and when a rank counts as hung; see `onward train RECIPE --help`
  --memory-limit SIZE      cut the batch into pieces until a step fits, such as 500MB; not for --resume
  --no-record              do not file the result under results/, also when the run is resumed
  --net.*  --data.*  --trainer.*  --algorithm.*
                           everything else in the recipe, such as --trainer.precision bf16

`onward train RECIPE --help` lists every flag of a recipe with its type, meaning and value.
"""


@dataclass(frozen=True)
class TrainArguments:
    recipe: Annotated[RecipeFlags, tyro.conf.arg(name="")]
    options: Annotated[RunOptions, tyro.conf.arg(name="")]
    control: Literal["backprop", "deep_supervision", "recompute", "accumulate", "random_features"] | None = None
    """Train a control of the recipe instead: the same network and budget. It is called CONTROL-RECIPE."""
    memory_limit: str | None = None
    """Most memory for the tensors of a training step, such as 500MB: the batch is cut into pieces until it fits."""
    record: bool = True
    """File the result under results/ if nothing but seed and place was changed."""
    init: Path | None = None
    """Finished run whose weights the training begins with; heads of another number of classes get new ones."""
    pipeline: bool = False
    """Spread the blocks over the processes that torchrun started."""
    pipelining: Annotated[Pipelining, tyro.conf.arg(name="")] = field(default_factory=Pipelining)


@dataclass(frozen=True)
class ResumeArguments:
    resume: Path
    """Run folder to resume."""
    options: Annotated[RunOptions, tyro.conf.arg(name="")]
    epochs: Annotated[int, Range(1, 2**31 - 1)] | None = None
    """Train a finished run further, up to this number of epochs, in a new folder and with a new schedule."""
    pipeline: bool = False
    """Spread the blocks over the processes that torchrun started."""
    pipelining: Annotated[Pipelining, tyro.conf.arg(name="")] = field(default_factory=Pipelining)
    record: bool = True
    """File the result under results/ if nothing but seed and place was changed."""


def run(words: Sequence[str]) -> None:
    """Carry out `onward train`. Raises ValueError for a user's error."""
    if list(words[:1]) in (["-h"], ["--help"]):
        print(fitted(USAGE), end="")
        return
    said, words = own_data_flags(words)
    named = bool(words) and not words[0].startswith("-")
    if named and "--data" in said and not {"--method", "--net"} & said.keys():  # other data for a recipe
        words, said = [*words, *as_flags(said)], {}
    if said and named:
        raise CommandLineError(f"{' and '.join(said)} cannot be combined with the recipe {words[0]}: leave it out")
    if any(word == "--resume" or word.startswith("--resume=") for word in words):
        order = _resumed(words, named, said)
    else:
        order = _begun(words, named, said)
    done = _carry_out(order)
    if done is None:  # another process writes
        return
    folder, result = done
    report(folder, result)
    if order.arguments.record:
        file_result(folder.recipe(), result, order.arguments.pipelining)


class _Order(NamedTuple):
    """What is to be trained: a recipe from the start, or the run in a folder further."""

    recipe: Recipe | None
    folder: Path | None
    arguments: TrainArguments | ResumeArguments


def _resumed(words: Sequence[str], named: bool, said: dict[str, str]) -> _Order:
    """Return the order to resume a run, or to train a finished one further. Raises CommandLineError."""
    if named:
        raise CommandLineError(
            f"--resume takes a run folder, which holds its recipe: onward train --resume runs/{words[0]}/seed-0"
        )
    arguments = parse(ResumeArguments, "train", words, advice="a run goes on with the recipe that it began with")
    if said:
        raise CommandLineError(
            f"{next(iter(said))} cannot be changed by --resume: use --init {arguments.resume} instead"
        )
    return _Order(None, arguments.resume, arguments) if arguments.epochs is None else _longer(arguments)


def _begun(words: Sequence[str], named: bool, said: dict[str, str]) -> _Order:
    """Return the order to train a recipe, or a control of it, as flags change it. Raises ValueError."""
    row, flags = _recipe(words, named, said), words[named:]
    kind, flags = _control(flags)
    recipe = row if kind is None else control(row, kind)
    default = TrainArguments(flags_of(recipe), RunOptions())
    arguments = parse(TrainArguments, f"train {row.name}", flags, default=default)
    recipe = _titled(arguments.recipe.applied(recipe), recipe)
    if arguments.init is not None:
        label = Path(os.path.abspath(arguments.init)).parent.name
        name = re.sub(r"[^A-Za-z0-9_.-]+", "_", f"{recipe.name}-from-{label}")
        recipe = replace(recipe, name=name, published=None)
    return _Order(_within(recipe, arguments), None, arguments)


def _carry_out(order: _Order) -> Outcome | None:
    """Train or resume, in this process or in those of torchrun; None in a process whose result another one writes."""
    recipe, folder, arguments = order
    _check_processes(arguments.pipeline)
    init = arguments.init if isinstance(arguments, TrainArguments) else None
    if arguments.pipeline:
        if init is not None:
            raise CommandLineError("--init and a longer --resume are for one process: leave --pipeline out")
        pipelining, record = arguments.pipelining, arguments.record
        return train_pipelined(recipe, arguments.options, pipelining, resume=folder, record=record)
    if arguments.pipelining != Pipelining():
        raise CommandLineError("--stages, --replicas, --messages, --balance and --patience belong to --pipeline")
    if folder is not None:
        return resume(folder, arguments.options)
    return train(recipe or lookup.RECIPES[0], arguments.options, init=init, record=arguments.record)


def _control(words: Sequence[str]) -> tuple[str | None, Sequence[str]]:
    """Take --control out of the flags: the other flags change the recipe of that control."""
    for k, word in enumerate(words):
        flag, given, value = word.partition("=")
        if flag == "--control" and (given or k + 1 < len(words)):
            return (value if given else words[k + 1]), [*words[:k], *words[k + (1 if given else 2) :]]
    return None, words


def _recipe(words: Sequence[str], named: bool, said: dict[str, str]) -> Recipe:
    """Return the recipe that a command names, or one for a user's folder; with --init the network of that run."""
    if not said:
        return find_recipe(words[0]) if named else lookup.RECIPES[0]
    return own_recipe(said, words)


def _longer(order: ResumeArguments) -> _Order:
    """Return the order to train a finished run further.

    Raises ValueError for an unfinished run, too few epochs, and data that have changed.
    """
    run = open_run(order.resume)
    begun = run.recipe
    more = (order.epochs or 0) - begun.epochs
    if more < 1:
        raise ValueError(f"{order.resume} has trained {begun.epochs} epochs: give a larger number with --epochs")
    check_data(run.folder, images_of(begun, order.options.data_dir, None, begun=True))
    data, data_dir = moved(begun.data, order.options.data_dir)
    name = f"{begun.name}-to-{order.epochs}_epochs"
    recipe = replace(begun, name=name, data=data, epochs=more, published=None)
    return _Order(
        recipe,
        None,
        TrainArguments(
            flags_of(recipe),
            replace(order.options, data_dir=data_dir),
            record=order.record,
            init=order.resume,
            pipeline=order.pipeline,
            pipelining=order.pipelining,
        ),
    )


def _check_processes(pipeline: bool) -> None:
    """Raise CommandLineError if torchrun started several processes that would each train the whole run."""
    world = os.environ.get("WORLD_SIZE", "1")
    if not pipeline and "RANK" in os.environ and world != "1":
        raise CommandLineError(
            f"torchrun started {world} processes, and each would train the whole run: add --pipeline to spread the "
            "blocks over them, or start onward without torchrun"
        )


def _titled(ordered: Recipe, listed: Recipe) -> Recipe:
    """Return the ordered recipe under a name of its own where it has other images than the listed one."""
    data = located(ordered.data)
    if data.name == located(listed.data).name:
        return ordered
    return replace(ordered, data=listed.data).on_other_images(data, label_of(data.name))


def _within(recipe: Recipe, order: TrainArguments) -> Recipe:
    """Return the ordered recipe, changed so that it stays within the memory limit."""
    if order.memory_limit is None:
        return recipe
    limit, device = parse_bytes(order.memory_limit), choose_device(order.options.device)
    data = images_of(recipe, order.options.data_dir, order.options.workers)
    fitting = fit_memory(recipe, data, limit, device)
    say(f"memory limit  {order.memory_limit}: {fitting}")
    return replace(recipe, trainer=fitting.settings)
