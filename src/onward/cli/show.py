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
from onward.core import Task
from onward.core.metrics import further_metrics
from onward.recipes import RECIPES, Recipe, control, former, literal
from onward.recipes.lookup import find_recipe
from onward.results.numbers import beside_published, published_number, spread
from onward.runs.controls import equal
from onward.runs.localities import kept
from onward.runs.records import Record, foreign, read_record
from onward.runs.result import mean_metrics
from onward.screen import say


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
        number = published_number(recipe.published, recipe.data.task)
        yield "published", f"{number}{_unit(recipe.data.task)}  {recipe.published.source}"
    own = _recorded(recipe, known)
    for texts in own.values():
        yield from (("recorded", line) for line in texts)
    if not isinstance(recipe.algorithm, Backprop | DeepSupervision):
        for text in _beside(recipe, own, known):
            yield "backprop", text
    if reach := kept(recipe):
        yield "locality", reach
    if old := former(recipe.name):
        yield "before", ", ".join(old)


def _beside(recipe: Recipe, own: Mapping[str, object], known: Mapping[str, Summary]) -> list[str]:
    """Return the results of backprop on the images of a recipe's own results, or what trains it."""
    controls = [control(row, "backprop") for row in (recipe, *_with_the_same_control(recipe))]
    for each in controls:
        results = _recorded(each, known, label=each.name)
        if lines := [line for note, texts in results.items() if note in own or not own for line in texts]:
            return lines
    return [f"not trained yet: onward train {recipe.name} --control backprop"]


def _recorded(recipe: Recipe, known: Mapping[str, Summary], label: str = "") -> dict[str, list[str]]:
    """Return the results of a recipe, by the note on its images: of the records here, or those of the index.

    Records of other settings than the recipe has today are never averaged with others: they have a line of their own.
    """
    name, today = recipe.name, recipe.identity()
    groups: dict[tuple[str, Recipe], list[Record]] = defaultdict(list)
    for folder in (name, *former(name)):
        for path in sorted((RESULTS / "runs" / folder).rglob("seed-*.json")):
            record = read_record(path)
            groups[record.data, record.recipe.identity()].append(record)
    parts: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for (data, settings), runs in groups.items():
        note = runs[0].result.data_note
        cost = _cost(len(runs), fmean(run.result.train_seconds for run in runs) / 60)
        beside = label or _verdict(recipe, [run.accuracy for run in runs], note)
        apart = "" if settings == today else f"(trained with {'; '.join(settings.differences(today))})"
        parts[note].append((_reached(runs), data, cost, beside, apart))
    if not parts and name in known:
        tests, task, note = known[name].tests, recipe.data.task, known[name].data
        cost = _cost(len(tests), known[name].minutes)
        parts[note] = [(spread(tests, task) + _unit(task), note, cost, label or _verdict(recipe, tests, note))]
    return {note: ["  ".join(part for part in line if part) for line in lines] for note, lines in parts.items()}


def _reached(runs: Sequence[Record]) -> str:
    """Return the results over runs, accuracy and the further metrics that all of them have."""
    task = runs[0].result.task_or_default
    also = further_metrics(mean_metrics([run.result for run in runs]))
    main = spread([run.accuracy for run in runs], task) + _unit(task)
    return ", ".join([main, *(f"{name} {value}" for name, value in also)])


def _verdict(recipe: Recipe, values: Sequence[float], note: str) -> str:
    """Return what seeds show beside the published number, and the gap in points; nothing without one."""
    if recipe.published is None or foreign(recipe, recipe.data.name, note):
        return ""
    return beside_published(values, recipe.published, recipe.data.task, note)


def _unit(task: Task | None) -> str:
    return "" if task == "values" else " %"


def _cost(seeds: int, minutes: float) -> str:
    return f"{seeds} x {minutes:.1f} minutes"


def _with_the_same_control(recipe: Recipe) -> list[Recipe]:
    own = control(recipe, "backprop")
    rows = (row for row in RECIPES if row.budget() == recipe.budget() and row.name != recipe.name)
    return [row for row in rows if equal(control(row, "backprop"), own)]
