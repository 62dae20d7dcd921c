"""The commands `onward compare` and `onward report`: methods side by side, as tables, JSON and an HTML page."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from onward.cli.arguments import parse
from onward.cli.tables import show_table, tell
from onward.cli.usage import CommandLineError, fitted
from onward.compare.comparison import Comparison, MethodResult, OnChip, TrainingEnergy
from onward.compare.recovery import ChipTraining
from onward.compare.report import page, pictures, summary, verdicts
from onward.compare.report.heading import control_names, title
from onward.compare.report.numbers import number, plain, reached, spread
from onward.compare.study import (
    ComparisonSettings,
    Method,
    by_recipe,
    compare,
    conditions_in_cache,
    describe,
    with_first_budget,
)
from onward.core import Task
from onward.core.metrics import MEASURES, further_metrics
from onward.costs.step import MeasuredSteps, StepCost
from onward.data import load_again
from onward.hardware import DEFAULT_SWEEPS, conditions
from onward.recipes.lookup import find_recipe
from onward.runs import RunOptions
from onward.runs.finished import Run, open_run
from onward.screen import say
from onward.storage.disk import write_text
from onward.storage.files import read_json, write_json
from onward.storage.typed import from_json, to_json

USAGE = """usage: onward compare RECIPE... [--FLAG VALUE ...]
       onward compare RUN... [--FLAG VALUE ...]

Puts recipes of one data set side by side. Finished runs below --runs-dir are used; stopped ones go on; what is missing
is trained; folders of finished runs may be named instead. Then each is evaluated on the test split, clean and under
noise on several chips, and a step of each is measured beside backprop through the same network. Prints tables and
writes OUT.json and OUT.html. Every evaluation is kept in its run's folder, so a comparison that was stopped goes on
where it was.

  --noise NAME...          mismatch, shot, impulse, bits (these four by default), offset, programming, read,
                           stuck, sensor, neuron, activity, activity-bits; other levels: mismatch=0.1,0.3;
                           a published device, such as pcm-day; or none
  --chips INT              chips of each noise (5)
  --seeds INT              runs of each recipe, seeds 0 to N-1 (1)
  --same                   give all the network, data, epochs, batch size and precision of the first recipe
  --test-images INT        evaluate on the first images of the test split only
  --recover NAME...        also learn on chips with this noise, such as mismatch=0.3, and show the recovered accuracy
  --recover-images INT     images that a chip learns from (2000); --recover-batch INT at a time (16);
  --recover-rate FLOAT     share of the recipe's learning rate (0.1)
  --target FLOAT           validation accuracy to which energy is counted; else the best that all reach
  --steps INT              timed steps of each (5); --no-cost leaves out memory, time and energy
  --measured FILE...       add what `onward measure --json` wrote
  --out PATH               where to write, without ending (comparison)
  --runs-dir PATH  --data-dir PATH  --device NAME  --checkpoint-every S
                           as for onward train
"""

REPORT_USAGE = """usage: onward report RUN... [--FLAG VALUE ...]

Draws the page of `onward compare` for any finished runs; runs that differ in their seed alone are one
method. Shows the noise and chips that all of them have been evaluated under already, or those named. Flags are those
of `onward compare`, but for --seeds and --same; OUT is `report` unless named.
"""


@dataclass(frozen=True)
class ReportArguments:
    names: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="NAME...")]
    """Recipes, or run folders."""
    options: Annotated[RunOptions, tyro.conf.arg(name="")]
    noise: tuple[str, ...] | None = None
    """Noise to evaluate under, by name."""
    chips: int = 5
    """Chips of each noise."""
    test_images: int | None = None
    """Evaluate on the first images of the test split only."""
    recover: tuple[str, ...] = ()
    """Noise of chips to learn on."""
    recover_images: int = 2000
    """Images that a chip learns from."""
    recover_batch: int = 16
    """Images per step on a chip."""
    recover_rate: float = 0.1
    """Share of the recipe's learning rate on a chip."""
    target: float | None = None
    """Validation accuracy, a fraction, to which energy is counted."""
    steps: int = 5
    """Timed steps of each method."""
    cost: bool = True
    """Measure memory, time and energy."""
    measured: tuple[Path, ...] = ()
    """Files that `onward measure --json` wrote."""
    out: Path | None = None
    """Where to write, without ending."""


@dataclass(frozen=True)
class CompareArguments(ReportArguments):
    seeds: int = 1
    """Runs of each recipe, seeds 0 to N-1."""
    same: bool = False
    """Give all recipes the network, data, epochs, batch size and precision of the first."""


def run(words: Sequence[str]) -> None:
    """Carry out `onward compare`. Raises ValueError for a user's error."""
    if list(words[:1]) in (["-h"], ["--help"]):
        print(fitted(USAGE), end="")
        return
    order = parse(CompareArguments, "compare", _named_first(words, "recipe", "compare RECIPE..."))
    if order.seeds < 1:
        raise ValueError(f"--seeds must be at least 1, got {order.seeds}")
    runs = _runs_among(order)
    recipes = [] if runs else [find_recipe(name) for name in order.names]
    question = _question(order, DEFAULT_SWEEPS if order.noise is None else order.noise)
    measured = [_measured(path) for path in order.measured]
    out = _writable(order.out or Path("comparison"))
    if runs:
        _finish(
            describe([_method(group, order.options) for group in by_recipe(runs)], question, order.options, say=say),
            measured,
            out,
            order.options.data_dir,
        )
        return
    recipes = with_first_budget(recipes) if order.same else recipes
    comparison = compare(recipes, order.seeds, question, order.options, say=say)
    _finish(comparison, measured, out, order.options.data_dir)


def run_report(words: Sequence[str]) -> None:
    """Carry out `onward report`. Raises ValueError for a user's error."""
    if list(words[:1]) in (["-h"], ["--help"]):
        print(fitted(REPORT_USAGE), end="")
        return
    order = parse(ReportArguments, "report", _named_first(words, "run", "report RUN..."))
    runs = [open_run(Path(name)) for name in order.names]
    question = _question(order, () if order.noise is None else order.noise)
    measured = [_measured(path) for path in order.measured]
    out = _writable(order.out or Path("report"))
    methods = [_method(group, order.options) for group in by_recipe(runs)]
    if order.noise is None:
        question = conditions_in_cache(methods, question)
    _finish(describe(methods, question, order.options, say=say), measured, out, order.options.data_dir)


def _runs_among(order: CompareArguments) -> list[Run]:
    """Return the runs, where folders of runs are named. CommandLineError for folders beside recipes."""
    folders = [name for name in order.names if (Path(name) / "config.json").is_file()]
    others = [name for name in order.names if name not in folders]
    if folders and others:
        raise CommandLineError(f"{folders[0]} is a run and {others[0]} is not: name recipes, or folders of runs")
    if folders and (order.seeds != 1 or order.same):
        raise CommandLineError("--seeds and --same are about recipes: leave them out, or name recipes")
    return [open_run(Path(name)) for name in folders]


def _named_first(words: Sequence[str], what: str, usage: str) -> list[str]:
    if not words or words[0].startswith("-"):
        raise CommandLineError(f"no {what} named: onward {usage}")
    return list(words)


def _question(order: ReportArguments, noise: Sequence[str]) -> ComparisonSettings:
    return ComparisonSettings(
        conditions=conditions(noise),
        chips=order.chips,
        test_images=order.test_images,
        recovery=conditions(order.recover),
        stream=ChipTraining(order.recover_images, order.recover_batch, order.recover_rate),
        steps=order.steps if order.cost else 0,
        target=order.target,
    )


def _measured(path: Path) -> MeasuredSteps:
    content = read_json(path)
    if "contenders" not in content:
        raise ValueError(f"{path} has no contenders: give a file that `onward measure --json` wrote")
    return from_json(content, MeasuredSteps, str(path))


def _writable(out: Path) -> Path:
    """Return where to write. Raises ValueError before hours of work if that is no place."""
    if out.suffix in (".html", ".json"):
        out = out.with_suffix("")
    if not out.parent.is_dir() or out.is_dir():
        reason = "is a folder" if out.is_dir() else f"lies in {out.parent}, which does not exist"
        raise ValueError(f"--out {out} {reason}; name a file without ending in a folder that exists")
    return out


def _method(runs: Sequence[Run], options: RunOptions) -> Method:
    data = load_again(runs[0].recipe.data, data_dir=options.data_dir, workers=options.workers)
    for run in runs:
        if run.result.data_checksum != data.checksum:
            raise ValueError(f"{run.folder.path} was trained on other images than {data.name} now has: train it again")
    return Method(runs[0].recipe, tuple(runs), data)


def _finish(comparison: Comparison, measured: Sequence[MeasuredSteps], out: Path, data_dir: Path | None) -> None:
    html, numbers = (out.with_name(f"{out.name}.{ending}") for ending in ("html", "json"))
    write_text(html, page(comparison, measured=measured, pictures=pictures(comparison, data_dir)))
    write_json(numbers, to_json(comparison))
    _show(comparison)
    say(numbers)
    say(html)


def _show(comparison: Comparison) -> None:
    _show_summary(comparison)
    for method in comparison.methods:
        if method.differs:
            tell(f"{method.label} differs from {comparison.methods[0].label}: {'; '.join(method.differs)}")
    for sweep in comparison.sweeps:
        heads = [MEASURES[comparison.task] if level is None else plain(level) for level in sweep.levels]
        rows = [(m.label, [spread(row, comparison.task) for row in m.under(sweep.name)]) for m in comparison.methods]
        unit = "" if comparison.task == "values" else ", %"
        show_table(f"{sweep.title}{unit}" + (f", by {sweep.axis}" if sweep.axis else ""), ["", *heads], rows)
    for k, first in enumerate(comparison.methods[0].recovery):
        rows = [(m.label, _recovery_cells(m, m.recovery[k])) for m in comparison.methods]
        level = "" if first.level is None else f" {plain(first.level)}"
        about = f"learning on the chip, {first.sweep}{level}"
        heads = [f"{head}{_sign(comparison.task)}" for head in ("clean", "on the chip", "after learning")]
        show_table(about, ["", *heads, "came back", "MB"], rows)
    verdict_lines = verdicts(comparison)
    for line in (*verdict_lines, summary(verdict_lines)):
        tell(str(line))


def _show_summary(comparison: Comparison) -> None:
    task, also = comparison.task, [name for name, _ in further_metrics(comparison.methods[0].metrics)]
    heads, rows = ["", f"{'clean' if task == 'classes' else MEASURES[task]}{_sign(task)}", *also, "parameters"], []
    if comparison.costed:
        heads += ["GFLOP", "memory MB", "step s", "J/epoch", f"J to {reached(comparison.target, task)}{_sign(task)}"]
    heads += ["locality"]
    for method in comparison.methods:
        row = [
            spread(method.clean, task),
            *(value for _, value in further_metrics(method.metrics)),
            f"{method.parameters:,}",
        ]
        row += [] if method.cost is None else _cost_cells(method.cost, method.energy)
        rows.append((method.label, [*row, method.locality or "–"]))
    names, legend = control_names(comparison.controls)
    for name, control in zip(names, comparison.controls, strict=True):
        rows.append((name, ["", *("" for _ in also), "", *_cost_cells(control, None), "all"]))
    show_table(title(comparison), heads, rows)
    for line in legend:
        tell(str(line))


def _sign(task: Task) -> str:
    return "" if task == "values" else " %"


def _cost_cells(cost: StepCost, energy: TrainingEnergy | None) -> list[str]:
    joules = [None, None] if energy is None else [energy.joules_per_epoch, energy.joules_to_target]
    return [
        f"{cost.flops.total / 1e9:.2f}",
        f"{cost.memory.peak / 1e6:.1f}",
        f"{cost.step_seconds:.4f}",
        *["" if value is None else number(value) for value in joules],
    ]


def _recovery_cells(method: MethodResult, row: OnChip) -> list[str]:
    clean, met, after = method.clean.mean, row.met.mean, row.recovered.mean
    share = f"{(after - met) / (clean - met):.0%}" if clean > met else "nothing was lost"
    spreads = [spread(each, method.task) for each in (method.clean, row.met, row.recovered)]
    return [*spreads, share, f"{row.memory_bytes / 1e6:.1f}"]
