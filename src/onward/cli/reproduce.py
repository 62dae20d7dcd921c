"""The command `onward reproduce`: a recipe with several seeds beside the published number."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import tyro

from onward.algorithms import Backprop, DeepSupervision
from onward.cli.arguments import parse
from onward.cli.recording import RESULTS, file_result, report
from onward.pipeline.run import Pipelining
from onward.recipes import Recipe
from onward.recipes.lookup import find_recipe
from onward.results.pages import spread
from onward.runs import RunOptions, RunResult, train
from onward.runs.records import filed_on_any_images, foreign_result, read_record
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
    if order.seeds < 1:
        raise ValueError(f"--seeds must be at least 1, got {order.seeds}")
    recipe = find_recipe(order.recipe)
    runs = [_recorded(replace(recipe, seed=seed), order.options) for seed in range(order.seeds)]
    ours = [run.test_accuracy for run in runs]
    say(f"{recipe.name}: {spread(ours)} % over {len(ours)} seeds")
    if recipe.published and not any(foreign_result(recipe, run) for run in runs):
        target = recipe.published.test_accuracy
        gap = sum(ours) / len(ours) - target
        say(f"published: {100 * target:.2f} % ({recipe.published.source}); ours {100 * gap:+.2f}")
    if not isinstance(recipe.algorithm, Backprop | DeepSupervision):
        say(f"the same network by backprop: onward reproduce backprop-{recipe.name} --seeds {order.seeds}")


def _recorded(recipe: Recipe, options: RunOptions) -> RunResult:
    """Return the result on record for this recipe and seed, or train it and put it on record.

    A record of the public images is preferred to one of another copy of them.
    """
    for path in filed_on_any_images(RESULTS, recipe.name, recipe.seed):
        if (record := read_record(path)).recipe.identity() == recipe.identity():
            return record.result
    folder, result = train(recipe, options)
    report(folder, result)
    file_result(recipe, result, Pipelining())
    return result
