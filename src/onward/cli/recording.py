"""The printed report of a finished run, and the recording of its result under results/."""

from pathlib import Path

from onward.core.metrics import MEASURES, format_metric, further_metrics
from onward.pipeline.run import Pipelining
from onward.recipes import Published, Recipe, find, find_retired
from onward.recipes.lookup import known_recipes
from onward.runs import RunFolder, RunResult
from onward.runs.codec import decode
from onward.runs.records import filed, foreign_result, record
from onward.screen import say, say_fitted

RESULTS = Path("results")
"""Where results are recorded."""
_TEXT = 14  # columns before the text of a line


def report(folder: RunFolder, result: RunResult) -> None:
    """Print the numbers of a finished run and its path."""
    task = result.task_or_default
    others = [f"{rule} {format_metric(task, value)}" for rule, value in result.test_accuracy_by_rule.items()]
    name = f"test {MEASURES[task]}".ljust(_TEXT - 1)
    say_fitted(f"{name} {format_metric(task, result.test_accuracy)}  ({', '.join(others)})", indent=_TEXT)
    if also := ", ".join(f"{name} {value}" for name, value in further_metrics(result.test_metrics or {})):
        say_fitted(f"{'also':{_TEXT}}{also}", indent=_TEXT)
    if result.published and not foreign_result(folder.recipe(), result):
        published = decode(result.published, Published, f"published in the result of {folder.path}")
        say_fitted(f"published     {format_metric(task, published.test_accuracy)}  {published.source}", indent=_TEXT)
    if result.data_note:
        say_fitted(f"data          {result.data_note}", indent=_TEXT)
    say_fitted(f"run           {folder.path}", indent=_TEXT)


def listed(recipe: Recipe) -> Recipe | None:
    """Return the recipe in the list, or the retired one, that has this name; None: results of it are not recorded."""
    return find(recipe.name, known_recipes()) or find_retired(recipe.name)


def file_result(recipe: Recipe, result: RunResult, how: Pipelining) -> None:
    """File a result, unless it is not that of a recipe in the list; `how` was asked for now, if not at the start."""
    other = foreign_result(recipe, result)
    if other:
        say_fitted(f"not recorded: {other}")
        return
    if result.init is not None:
        say("not recorded: it began from the weights of another run")
        return
    known = listed(recipe)
    if known is None:
        say_fitted(f"not recorded: `onward list` shows no recipe {recipe.name!r}")
        return
    if recipe.identity() != known.identity():
        say("not recorded: the recipe was changed by flags")
        return
    if "bf16" in (how.messages, result.pipeline and result.pipeline.messages):
        say("not recorded: messages were rounded to bf16")
        return
    if result.record is False:
        say("not recorded: the run began with --no-record; train its recipe again to record it")
        return
    replaced = filed(RESULTS, recipe.name, recipe.seed, result.data_note) is not None
    said = f"recorded      {record(RESULTS, result)}{' (in place of an earlier run)' if replaced else ''}"
    say_fitted(said, indent=_TEXT)
