"""The command `onward train`: a recipe carried out, or a stopped run gone on with."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from onward.cli.arguments import parse
from onward.cli.flags import RecipeFlags, flags_of
from onward.cli.recording import file_result, report
from onward.cli.words import CommandLineError, fitted
from onward.costs.memory_limit import fit_memory, parse_bytes
from onward.data import located
from onward.pipeline.run import Pipelining, train_pipelined
from onward.recipes import Recipe, control, known
from onward.recipes.known import find_recipe
from onward.runs import Place, resume, train
from onward.runs.beginning import images_of
from onward.runs.environment import choose_device
from onward.screen import say

USAGE = """usage: onward train [RECIPE] [--FLAG VALUE ...]
       onward train FILE.py:RECIPE [--FLAG VALUE ...]
       onward train --resume RUN

Carries out a recipe (`onward list` names them) and writes a run folder: configuration, metrics, checkpoint, model,
result. Without a recipe, the default trains on scikit-learn's digits.

  --epochs INT             times through the training split
  --batch-size INT         images per step
  --control NAME           train a control of the recipe in its place: backprop, deep_supervision, recompute,
                           accumulate or random_features
  --seed INT               weights, order, augmentation and dropout
  --data-dir PATH          local named sets, one folder of parquet files each; else $ONWARD_DATA, else the hub
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


@dataclass(frozen=True)
class TrainArguments:
    recipe: Annotated[RecipeFlags, tyro.conf.arg(name="")]
    place: Annotated[Place, tyro.conf.arg(name="")]
    control: Literal["backprop", "deep_supervision", "recompute", "accumulate", "random_features"] | None = None
    """Train a control of the recipe in its place: the same network and budget. It is called CONTROL-RECIPE."""
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


def run(words: Sequence[str]) -> None:
    """Carry out `onward train`. Raises ValueError for what a user can mend."""
    if list(words[:1]) in (["-h"], ["--help"]):
        print(fitted(USAGE), end="")
        return
    named = bool(words) and not words[0].startswith("-")
    if any(word == "--resume" or word.startswith("--resume=") for word in words):
        if named:
            raise CommandLineError(
                f"--resume takes a run folder, which knows its recipe: onward train --resume runs/{words[0]}/seed-0"
            )
        order = parse(ResumeArguments, "train", words, advice="a run goes on with the recipe that it began with")
        recipe, path = None, order.resume
    else:
        row, flags = find_recipe(words[0]) if named else known.RECIPES[0], words[named:]
        kind, flags = _control(flags)
        recipe = row if kind is None else control(row, kind)
        default = TrainArguments(flags_of(recipe), Place())
        order = parse(TrainArguments, f"train {row.name}", flags, default=default)
        recipe, path = _within(_titled(order.recipe.applied(recipe), recipe), order), None
    _check_processes(order.pipeline)
    if order.pipeline:
        done = train_pipelined(recipe, order.place, order.pipelining, resume=path)
    elif order.pipelining != Pipelining():
        raise CommandLineError("--stages, --replicas, --messages, --balance and --patience belong to --pipeline")
    else:
        done = resume(path, order.place) if path is not None else train(recipe or known.RECIPES[0], order.place)
    if done is None:  # another process writes
        return
    folder, result = done
    report(folder, result)
    if order.record:
        file_result(folder.recipe(), result, order.pipelining)


def _control(words: Sequence[str]) -> tuple[str | None, Sequence[str]]:
    """Take --control out of the flags: it decides which recipe the others change."""
    for k, word in enumerate(words):
        flag, given, value = word.partition("=")
        if flag == "--control" and (given or k + 1 < len(words)):
            return (value if given else words[k + 1]), [*words[:k], *words[k + (1 if given else 2) :]]
    return None, words


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
    if data.name == listed.data.name:
        return ordered
    return replace(ordered, data=listed.data).on_other_images(data, Path(data.name).name)


def _within(recipe: Recipe, order: TrainArguments) -> Recipe:
    """Return the ordered recipe, changed so that it stays within the memory limit."""
    if order.memory_limit is None:
        return recipe
    limit, device = parse_bytes(order.memory_limit), choose_device(order.place.device)
    data = images_of(recipe, order.place.data_dir, order.place.workers)
    fitting = fit_memory(recipe, data, limit, device)
    say(f"memory limit  {order.memory_limit}: {fitting}")
    return replace(recipe, trainer=fitting.settings)
