"""The command `onward show`: a recipe as it is, all settings, and its recorded results."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Annotated

import tyro

from onward.algorithms import Backprop, DeepSupervision
from onward.cli.arguments import parse
from onward.cli.index import Summary, read_index
from onward.cli.recording import RESULTS
from onward.core.metrics import further_metrics
from onward.recipes import RECIPES, Recipe, control, former, literal
from onward.recipes.lookup import find_recipe
from onward.runs.controls import equal
from onward.runs.localities import kept
from onward.runs.records import Record, read_record
from onward.runs.result import mean_metrics
from onward.screen import in_percent, say


@dataclass(frozen=True)
class ShowArguments:
    recipe: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RECIPE")]
    """Recipe name, or CONTROL-RECIPE for a control of it."""


def run(words: Sequence[str]) -> None:
    """Carry out `onward show`. Raises ValueError for a user's error."""
    recipe = find_recipe(parse(ShowArguments, "show", words).recipe)
    say(recipe.name)
    for line in literal(recipe).splitlines():
        say(line)
    for title, text in _sections(recipe, read_index().records):
        say(f"{title:<12}{text}")


def _sections(recipe: Recipe, known: Mapping[str, Summary]) -> Iterator[tuple[str, str]]:
    """Yield sections about a recipe, a title and a text each; `known` are the records of the index."""
    if recipe.published:
        published = recipe.published
        task = recipe.data.task
        spread = (
            "" if published.deviation is None else f" ± {in_percent(task, published.deviation).removeprefix('R2 ')}"
        )
        yield "published", f"{_in_unit(task, published.test_accuracy)}{spread}  {published.source}"
    for text in _recorded(recipe, known):
        yield "recorded", text
    if not isinstance(recipe.algorithm, Backprop | DeepSupervision):
        controls = [control(row, "backprop") for row in (recipe, *_with_the_same_control(recipe))]
        recorded = next((texts for each in controls if (texts := _recorded(each, known, label=each.name))), None)
        for text in recorded or [f"not trained yet: onward train {recipe.name} --control backprop"]:
            yield "backprop", text
    if reach := kept(recipe):
        yield "locality", reach
    if old := former(recipe.name):
        yield "before", ", ".join(old)


def _recorded(recipe: Recipe, known: Mapping[str, Summary], label: str = "") -> list[str]:
    """Return the results of a recipe, a line for each set of images: of the records here, or those of the index.

    Records of other settings than the recipe has today are never averaged with others: they have a line of their own.
    """
    name, today = recipe.name, recipe.identity()
    groups: dict[tuple[str, Recipe], list[Record]] = defaultdict(list)
    for folder in (name, *former(name)):
        for path in sorted((RESULTS / "runs" / folder).rglob("seed-*.json")):
            record = read_record(path)
            groups[record.data, record.recipe.identity()].append(record)
    parts = [
        (
            _reached(runs),
            data,
            _cost(len(runs), fmean(run.result.train_seconds for run in runs) / 60),
            label,
            "" if settings == today else f"(trained with {'; '.join(settings.differences(today))})",
        )
        for (data, settings), runs in groups.items()
    ]
    if not parts and name in known:
        summary = known[name]
        parts = [(_in_unit(summary.task, summary.test), summary.data, _cost(summary.seeds, summary.minutes), label)]
    return ["  ".join(part for part in line if part) for line in parts]


def _reached(runs: Sequence[Record]) -> str:
    """Return the means over runs of accuracy and of the further metrics that all of them have."""
    task, mean = runs[0].result.task_or_default, fmean(run.accuracy for run in runs)
    also = further_metrics(mean_metrics([run.result for run in runs]))
    return ", ".join([_in_unit(task, mean), *(f"{name} {value}" for name, value in also)])


def _in_unit(task: str | None, value: float) -> str:
    return in_percent(task, value) + ("" if task == "values" else " %")


def _cost(seeds: int, minutes: float) -> str:
    return f"{seeds} x {minutes:.1f} minutes"


def _with_the_same_control(recipe: Recipe) -> list[Recipe]:
    own = control(recipe, "backprop")
    rows = (row for row in RECIPES if row.budget() == recipe.budget() and row.name != recipe.name)
    return [row for row in rows if equal(control(row, "backprop"), own)]
