"""The command `onward reproduce`: a recipe with several seeds beside the published number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import tyro

from onward.algorithms import Backprop, DeepSupervision
from onward.cli.arguments import parse
from onward.cli.recording import RESULTS, file_result, report
from onward.pipeline.run import Pipelining
from onward.recipes import Recipe
from onward.recipes.lookup import find_recipe
from onward.results.numbers import beside_published, published_number, spread
from onward.runs import RunOptions, RunResult, train
from onward.runs.queue import MOST_SEEDS
from onward.runs.records import are_same_images, filed_on_any_images, foreign_result, on_same_images, read_record
from onward.runs.start_messages import images_of
from onward.screen import say


@dataclass(frozen=True)
class ReproduceArguments:
    recipe: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RECIPE")]
    """Recipe name."""
    options: Annotated[RunOptions, tyro.conf.arg(name="")]
    seeds: int = 3
    """Seeds 0 to N-1; those already recorded are not run again."""


def run(words: Sequence[str]) -> None:
    """Carry out `onward reproduce`. Raises ValueError for a user's error."""
    order = parse(ReproduceArguments, "reproduce", words)
    if not 1 <= order.seeds <= MOST_SEEDS:
        raise ValueError(f"--seeds must be at least 1 and at most {MOST_SEEDS}, got {order.seeds}")
    recipe = find_recipe(order.recipe)
    runs = _recorded([replace(recipe, seed=seed) for seed in range(order.seeds)], order.options)
    ours = [run.test_accuracy for run in runs]
    copy = f" on {runs[0].data_note}" if runs[0].data_note else ""
    task = runs[0].task_or_default
    mean = spread(ours, task) + ("" if task == "values" else " %")
    say(f"{recipe.name}: {mean} over {len(ours)} seeds{copy}")
    if recipe.published and not any(foreign_result(recipe, run) for run in runs):
        beside = beside_published(ours, recipe.published, task, runs[0].data_note)
        say(f"published: {published_number(recipe.published, task)} ({recipe.published.source}); {beside}")
    if not isinstance(recipe.algorithm, Backprop | DeepSupervision):
        say(f"the same network by backprop: onward reproduce backprop-{recipe.name} --seeds {order.seeds}")


def _recorded(jobs: Sequence[Recipe], options: RunOptions) -> list[RunResult]:
    """Return the results of a recipe's seeds, all on one copy of its images; what is not on record is trained.

    If all seeds are on record that copy is the public one, or else the first that has them all; otherwise the one that
    would be trained on. Raises ValueError for seeds whose images have different checksums.
    """
    filed = [_filed(job) for job in jobs]
    complete = [note for note in filed[0] if all(note in results for results in filed)]
    note = complete[0] if complete else _note_of_images(jobs[0], filed, options)
    runs = [results.get(note) or _trained(job, options) for job, results in zip(jobs, filed, strict=True)]
    others = [run.seed for run in runs if not on_same_images(run, runs[0])]
    if others:
        raise ValueError(
            f"{jobs[0].name}: seed {others[0]} was trained on other images than seed {runs[0].seed}, as their "
            "checksums tell: delete the record of one of them, and train it again"
        )
    return runs


def _note_of_images(job: Recipe, filed: Sequence[Mapping[str, RunResult]], options: RunOptions) -> str:
    """Return the note on the images that would be trained on. Raises ValueError if a record is of other ones."""
    data = images_of(job, options.data_dir, options.workers)
    before = next((results[data.note] for results in filed if data.note in results), None)
    if before is not None and not are_same_images(before.data_checksum, data.checksum):
        raise ValueError(
            f"seed {before.seed} of {job.name} was trained on other images than those of {data.name} now, as their "
            "checksums tell, and nothing was trained: give those images, or delete the record of that seed"
        )
    return data.note


def _filed(recipe: Recipe) -> dict[str, RunResult]:
    """Return the results on record for a recipe and seed, by the note on the copy of the images; the public one first.

    Those of a recipe that had other settings are left out.
    """
    records = [read_record(path) for path in filed_on_any_images(RESULTS, recipe.name, recipe.seed)]
    return {
        record.result.data_note: record.result for record in records if record.recipe.identity() == recipe.identity()
    }


def _trained(recipe: Recipe, options: RunOptions) -> RunResult:
    """Train a recipe and put its result on record."""
    folder, result = train(recipe, options)
    report(folder, result)
    file_result(recipe, result, Pipelining())
    return result
