"""The command `onward measure`: what a step costs, as a table and as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import torch
import tyro

from onward.cli.arguments import check_place, parse
from onward.cli.flags import RecipeFlags, flags_of
from onward.cli.memory_curve import check_figure, show_curve, write_figure
from onward.cli.positional import first_recipe
from onward.cli.tables import show_table
from onward.cli.usage import fitted
from onward.core import TrainerSettings
from onward.costs.memory_curve import memory_curve
from onward.costs.step import MeasuredSteps, ProcessMemory, StepCost
from onward.costs.step_benchmark import measure
from onward.measure import CATEGORIES, PHASES
from onward.recipes import Recipe
from onward.runs.environment import choose_device, device_name
from onward.screen import say
from onward.storage.files import write_json
from onward.storage.typed import to_json
from onward.training.cascade import MOST_BYTES
from onward.training.progress import stages

USAGE = """usage: onward measure RECIPE [--FLAG VALUE ...]

Measures a training step of a recipe beside backpropagation through the same network with the same batch, precision and
optimizer: as it is, with recomputing, and with micro-batches. Shows operations, time by phase and block, images per
second, fraction of the machine's peak, counted energy, and memory by category. Timed steps alternate between them.
Random images stand in for a named set that is not on this machine. Nothing is recorded.

  --steps INT              timed steps of each; medians are shown (5)
  --micro-batches INT      pieces of the last control's batch (4)
  --json FILE              write everything that was measured to a file
  --curve                  memory over time instead: 1, 2, 4 and 8 micro-batches, without and with recomputing
  --figure FILE.svg        draw both curves of --curve
  --device NAME            cpu, cuda, cuda:1 or auto
  --data-dir PATH          local data sets, one folder of parquet files each; else $ONWARD_DATA
  --batch-size INT         images per step
  --net.*  --data.*  --trainer.*  --algorithm.*
                           everything else in the recipe, such as --trainer.precision bf16
"""


@dataclass(frozen=True)
class MeasureArguments:
    recipe: Annotated[RecipeFlags, tyro.conf.arg(name="")]
    steps: int = 5
    """Timed steps of each; medians are shown."""
    micro_batches: int = 4
    """Pieces of the last control's batch."""
    json: Path | None = None
    """File to write everything that was measured to."""
    curve: bool = False
    """Peak memory over time, with 1, 2, 4 and 8 micro-batches, without and with recomputing, in place of one step."""
    figure: Path | None = None
    """File to draw both curves of --curve in, as SVG."""
    device: str = "auto"
    """cpu, cuda, cuda:1, or auto."""
    data_dir: Path | None = None
    """Folder with one parquet folder per named data set; otherwise $ONWARD_DATA."""


def run(words: Sequence[str]) -> None:
    """Carry out `onward measure`. Raises ValueError for a user's error."""
    if list(words[:1]) in (["-h"], ["--help"]):
        print(fitted(USAGE), end="")
        return
    recipe = first_recipe(words, "measure")
    order = parse(MeasureArguments, f"measure {recipe.name}", words[1:], default=MeasureArguments(flags_of(recipe)))
    for name in ("steps", "micro_batches"):
        if getattr(order, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be at least 1, got {getattr(order, name)}")
    if order.figure is not None:
        if not order.curve:
            raise ValueError("--figure draws the curves of --curve: add it")
        check_figure(order.figure)
    check_place("json", order.json)
    device = choose_device(order.device)
    for line in _without_effect(order.recipe.applied(recipe).trainer, device, curve=order.curve):
        say(f"onward: warning: {line}", error=True)
    if order.curve:
        return _curve(replace(order.recipe.applied(recipe), epochs=1), device, order)
    with stages() as watch:
        steps = measure(
            replace(order.recipe.applied(recipe), epochs=1),
            device,
            data_dir=order.data_dir,
            steps=order.steps,
            micro_batches=order.micro_batches,
            say=lambda line: say(f"{line} on {device_name(device)}", error=True),
            watch=watch,
        )
    _show(steps)
    if order.json is not None:
        write_json(order.json, to_json(steps))


def _without_effect(settings: TrainerSettings, device: torch.device, *, curve: bool) -> list[str]:
    """Return a line for each setting that changes nothing in what is measured."""
    lines = []
    if device.type == "cpu" and (settings.compile or settings.capture != "never"):
        name = "compile" if settings.compile else "capture"
        lines.append(f"{name} has no effect, plain steps are measured: no meter can look into a program")
    if curve:
        ways = {"micro_batches": 1, "recompute": False, "step_together": False}
        given = ", ".join(name for name, plain in ways.items() if getattr(settings, name) != plain)
        lines += [f"{given} of the recipe: no effect on --curve, which measures all ways"] if given else []
    return lines


def _curve(recipe: Recipe, device: torch.device, order: MeasureArguments) -> None:
    """Measure and show the curves of memory over time."""
    with stages() as watch:
        curve = memory_curve(recipe, device, data_dir=order.data_dir, steps=order.steps, watch=watch)
    show_curve(curve)
    if order.json is not None:
        write_json(order.json, to_json(curve))
    if order.figure is not None:
        write_figure(curve, order.figure)


def _show(steps: MeasuredSteps) -> None:
    rows = {row.name: row for row in steps.contenders}
    head = f"{steps.recipe}, {steps.batch_size} images of {steps.data}, {steps.precision}"
    say(head)
    say(f"{steps.environment.device}: {steps.peak_rate.best / 1e9:,.0f} GFLOP/s in large products")
    heads, every = ["", *rows], list(rows.values())
    show_table("a training step", heads, _cost(every))
    show_table("seconds by phase, medians", heads, _seconds(every))
    show_table("memory at the peak, MB", heads, _memory(every))
    for error in dict.fromkeys(row.process.error for row in every if row.process is not None and row.process.error):
        say(f"a process of its own failed: {error}")
    if steps.stored_per_image is not None:
        say(
            f"cache_activations stores {steps.stored_per_image * 1e4 / 1e6:,.1f} MB on the host for every 10,000 "
            f"training images; more than {MOST_BYTES / 1e6:,.0f} MB are refused"
        )
    _show_blocks(every[0])


def _cost(every: Sequence[StepCost]) -> list[tuple[str, list[str]]]:
    return [
        ("GFLOP", [f"{row.flops.total / 1e9:.2f}" for row in every]),
        ("of greedy ideal", [f"{row.flops.total / row.flops.ideal:.2f}" for row in every]),
        ("seconds", [f"{row.step_seconds:.4f}" for row in every]),
        ("first / this", [f"{every[0].step_seconds / row.step_seconds:.2f}" for row in every]),
        ("images/s", [f"{row.images_per_second:,.0f}" for row in every]),
        ("counted mJ", [f"{1e3 * row.energy.joules:.2f}" for row in every]),
        *_measured_energy(every),
        *_spikes(every),
        ("of peak rate", [f"{row.fraction_of_peak:.0%}" for row in every]),
    ]


def _measured_energy(every: Sequence[StepCost]) -> list[tuple[str, list[str]]]:
    """Return the measured energy above idle, if there is a meter."""
    energies = [row.energy.measured for row in every if row.energy.measured is not None]
    measured_cells = [f"{1e3 * measured.joules:.2f}" for measured in energies]
    return [("measured mJ", measured_cells)] if len(energies) == len(every) else []


def _spikes(every: Sequence[StepCost]) -> list[tuple[str, list[str]]]:
    """Return the cost of a prediction in a spiking network, and the cost without spikes, as rows."""
    spike_costs = [row.spikes for row in every]
    if not any(spike_costs):
        return []
    return [
        ("spikes/neuron, image", [f"{spikes.spikes_per_neuron:.2f}" if spikes else "" for spikes in spike_costs]),
        ("prediction, uJ", [f"{1e6 * spikes.joules:.3f}" if spikes else "" for spikes in spike_costs]),
        ("same without spikes", [f"{1e6 * spikes.dense_joules:.3f}" if spikes else "" for spikes in spike_costs]),
    ]


def _seconds(every: Sequence[StepCost]) -> list[tuple[str, list[str]]]:
    def of(row: StepCost, phase: str) -> float:
        return sum(share.seconds for share in row.phases if share.phase == phase)

    return [(phase, [f"{of(row, phase):.4f}" for row in every]) for phase in PHASES]


def _memory(every: Sequence[StepCost]) -> list[tuple[str, list[str]]]:
    held = [row.memory for row in every]
    processes = [row.process or ProcessMemory() for row in every]
    return [
        *((name, [f"{memory.by_category[name] / 1e6:.1f}" for memory in held]) for name in CATEGORIES),
        ("total", [f"{memory.peak / 1e6:.1f}" for memory in held]),
        ("first / this", [f"{held[0].peak / memory.peak:.2f}" for memory in held]),
        ("floor", [f"{memory.floor / 1e6:.1f}" for memory in held]),
        ("total / floor", [f"{memory.peak / memory.floor:.2f}" for memory in held]),
        ("process, before", [f"{p.before / 1e6:.1f}" if p.before else "unknown" for p in processes]),
        ("process, at most", ["failed" if p.peak is None else f"{p.peak / 1e6:.1f}" for p in processes]),
    ]


def _show_blocks(row: StepCost) -> None:
    seconds = {(share.block, share.phase): share.seconds for share in row.phases}
    rows = [
        (
            str(block),
            [f"{operations / 1e9:.3f}", *(f"{1e3 * seconds.get((block, phase), 0):.2f}" for phase in PHASES[1:])],
        )
        for block, operations in enumerate(row.flops.by_block)
    ]
    show_table(f"{row.name}, block by block: milliseconds", ["block", "GFLOP", *PHASES[1:]], rows)
