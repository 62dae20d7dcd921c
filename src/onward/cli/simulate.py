"""The command `onward simulate`: the time line of a pipeline, computed from block costs measured on one device."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from onward.cli.arguments import parse
from onward.cli.flags import RecipeFlags, flags_of
from onward.cli.positional import first_recipe
from onward.cli.tables import show_table
from onward.cli.usage import fitted
from onward.core import LocalTrainer
from onward.costs.blocks import BlockCosts, block_costs
from onward.costs.step_benchmark import shapes_like
from onward.data import TrainLoader
from onward.pipeline import LinkSpeed, MessagePrecision, Stages, place, possible_cuts, simulate, stages_of
from onward.recipes import Recipe
from onward.runs.environment import choose_device
from onward.runs.model import prepared
from onward.screen import say

USAGE = """usage: onward simulate RECIPE [--FLAG VALUE ...]

Measures what each block of a recipe costs on this device, places the blocks on stages as a pipeline would, and predicts
step time, utilization and memory of each stage. Random images stand in for a named set that is not on this machine.

  --devices INT            devices: stages times replicas (2)
  --replicas INT           devices that share the batches of a stage (1)
  --bandwidth FLOAT        bytes per second between two stages (1e9)
  --latency FLOAT          seconds before the first byte of a message arrives (1e-4)
  --steps INT              steps to predict, filling and draining included (100)
  --messages NAME          exact, or bf16: half the bytes
  --stages INT...          blocks of each stage; else balanced by cost
  --device NAME            cpu, cuda, cuda:1 or auto: where to measure
  --data-dir PATH          local data sets, one folder of parquet files each; else $ONWARD_DATA
  --batch-size INT         images per step
  --net.*  --data.*  --trainer.*  --algorithm.*
                           everything else in the recipe, such as --trainer.precision bf16
"""


@dataclass(frozen=True)
class SimulateArguments:
    recipe: Annotated[RecipeFlags, tyro.conf.arg(name="")]
    devices: int = 2
    """Devices: stages times replicas."""
    replicas: int = 1
    """Devices that share the batches of a stage."""
    bandwidth: float = 1e9
    """Bytes per second between two stages."""
    latency: float = 1e-4
    """Seconds before the first byte of a message arrives."""
    steps: int = 100
    """Steps to predict, filling and draining included."""
    messages: MessagePrecision = "exact"
    """exact, or bf16: half the bytes."""
    stages: tuple[int, ...] = ()
    """Blocks of each stage; else balanced by cost."""
    device: str = "auto"
    """Where to measure: cpu, cuda, cuda:1, or auto."""
    data_dir: Path | None = None
    """Folder with one parquet folder per named data set; otherwise $ONWARD_DATA."""


def run(words: Sequence[str]) -> None:
    """Carry out `onward simulate`. Raises ValueError for a user's error."""
    if list(words[:1]) in (["-h"], ["--help"]):
        print(fitted(USAGE), end="")
        return
    recipe = first_recipe(words, "simulate")
    order = parse(SimulateArguments, f"simulate {recipe.name}", words[1:], default=SimulateArguments(flags_of(recipe)))
    wires = LinkSpeed(order.bandwidth, order.latency)
    recipe = order.recipe.applied(recipe)
    batch, replicas = recipe.batch_size, order.replicas
    if replicas < 1 or order.devices % replicas or batch % replicas:
        raise ValueError(f"--replicas {replicas} must divide {order.devices} devices and a batch of {batch} images")
    costs, cuts, gradients = _measured(order, recipe)
    added = [wires.adding_up(amount, replicas) for amount in gradients]
    costs = replace(costs, step=[own + shared for own, shared in zip(costs.step, added, strict=True)])
    if order.stages:
        stages = stages_of(order.stages, cuts, len(costs.step))
    else:
        stages = place(costs.step, costs.entering, cuts, order.devices // replicas)
    _show(order, recipe, costs, stages, wires)


def _measured(order: SimulateArguments, recipe: Recipe) -> tuple[BlockCosts, tuple[int, ...], list[int]]:
    """Return what blocks cost with a replica's share of a batch, where one may cut, and bytes of gradients by block."""
    device = choose_device(order.device)
    recipe = replace(recipe, batch_size=recipe.batch_size // order.replicas)
    data = shapes_like(recipe, order.data_dir)
    learner = prepared(recipe, data, device)
    loader = TrainLoader(data.train, batch_size=recipe.batch_size, device=device)
    costs = block_costs(LocalTrainer(learner, recipe.trainer), *next(loader.epoch(0)))
    if order.messages == "bf16":
        half = 2 if recipe.trainer.precision == "fp32" else 1  # what is bf16 already does not shrink
        costs = replace(costs, entering=[amount // half for amount in costs.entering])
    gradients = [sum(p.nbytes for p in block.parameters() if p.requires_grad) for block in learner.blocks]
    return costs, possible_cuts(learner.turns, len(learner.blocks)), gradients


def _show(order: SimulateArguments, recipe: Recipe, costs: BlockCosts, stages: Stages, wires: LinkSpeed) -> None:
    seconds = [sum(costs.step[k] for k in stage) for stage in stages]
    sent = [costs.entering[stage.start] for stage in stages[1:]]
    simulation = simulate(seconds, sent, wires, order.steps)
    shared = f", {order.replicas} replicas" if order.replicas > 1 else ""
    title = f"{recipe.name}, {recipe.batch_size} images in a step{shared}"
    rows = []
    for s, stage in enumerate(stages):
        amount = sent[s] if s < len(sent) else 0
        cells = [
            f"{stage.start}-{stage.stop - 1}",
            f"{1e3 * seconds[s]:.2f}",
            f"{100 * simulation.utilization[s]:.0f}",
            f"{amount / 1e6:.2f}",
            f"{1e3 * wires.seconds(amount):.2f}" if amount else "",
            f"{costs.memory(stage, first=s == 0, last=s == len(stages) - 1) / 1e6:.1f}",
        ]
        rows.append((str(s), cells))
    alone = sum(seconds)
    show_table(title, ["stage", "blocks", "ms", "busy %", "sends MB", "link ms", "memory MB"], rows)
    say(f"one stage     {1e3 * alone:.2f} ms a step")
    say(f"pipeline      {1e3 * simulation.step:.2f} ms a step once filled: {alone / simulation.step:.2f} times as fast")
    say(f"filling       {1e3 * simulation.filling:.2f} ms; {order.steps} steps {simulation.total:.3f} s with it")
    limit = "a link" if simulation.step > max(seconds) else f"stage {seconds.index(max(seconds))}"
    say(f"limited by    {limit}; {sum(sent) / 1e6:.2f} MB sent in a step")
