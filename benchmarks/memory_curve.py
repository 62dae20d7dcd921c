"""Peak memory of a step over its time: a method and backprop, with micro-batches, recomputing, and both.

On a CPU times are the process's own on one thread, so that neighbors do not count. A network is filed as soon as it is
measured; started again, the script measures the missing ones, `--only` measures networks again. The networks of
`any_model.py` are trained as learners; those whose package is missing, or whose cuts form no chain, are left out.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any

import torch

from any_model import made
from any_model_data import Rows
from any_model_subjects import CONTROL, SUBJECTS, Contender, Subject
from onward.core import LocalTrainer
from onward.costs.memory_curve import CurvePoint, MemoryCurve, curve_of, memory_curve
from onward.costs.step_benchmark import StepBenchmark
from onward.modules.batch import as_batch, check_target, to_device
from report import Order, begin, file, rows_of, show
from subjects import subject

IMAGES = {"mlp": 128, "tiny_cnn": 128, "airbench": 128, "vgg8": 64, "resnet17": 32}
"""Images of a step; 128 of all networks with `--whole`."""

MODELS = {model.name: model for model in SUBJECTS}
CONTENDERS = {"gpt2": "MonoForward, spans of two"}
"""The way to train a model locally, where it is not its first one."""

_TITLE = "memory of a step over its time (targets: at equal time <= 0.6 of backprop's memory, else <= 0.8 of its time)"
_FEW = 4  # rows of the example that a learner keeps


def main() -> None:
    order = begin(__doc__ or "", parts=(*IMAGES, *MODELS))
    read: Callable[[], float] | None = None
    if order.device.type == "cpu":
        torch.set_num_threads(1)
        read = time.process_time
    known = [] if order.quick else rows_of("memory_curve", order)
    for name in (*IMAGES, *MODELS):
        if (order.only and name not in order.only) or (not order.only and any(row["net"] == name for row in known)):
            continue
        try:
            curve = of_recipe(name, order, read) if name in IMAGES else of_model(MODELS[name], order, read)
        except (ModuleNotFoundError, ValueError) as error:
            print(f"left out: {name}, {error}", flush=True)
            continue
        own = rows(curve)
        show(_TITLE, own, unprinted=("measured_on", "commit"))
        known = [row for row in known if row["net"] != name] + own
        file("memory_curve", order, _TITLE, known)


def of_recipe(name: str, order: Order, read: Callable[[], float] | None) -> MemoryCurve:
    """Return the curve of one of onward's networks."""
    recipe = subject(name, batch_size=128 if order.whole else IMAGES[name], quick=order.quick)
    assert recipe is not None
    recipe = replace(recipe, name=name)
    return memory_curve(recipe, order.device, data_dir=Path("no-data-needed"), steps=order.steps, read=read)


def of_model(model: Subject, order: Order, read: Callable[[], float] | None) -> MemoryCurve:
    """Return the curve of a network of `any_model.py`. Raises ValueError where its cuts form no chain."""
    rows = Rows(model.measured(8 if order.quick else model.measured_rows), size=0)
    whole = one_tensor(rows.batch(torch.arange(rows.count)))
    wanted = CONTENDERS.get(model.name, model.contenders[0].name)
    local = next(contender for contender in model.contenders if contender.name == wanted)
    sides = [_side(model, contender, whole, order.device) for contender in (local, CONTROL)]
    return curve_of(*sides, recipe=model.name, data="noise", steps=order.steps, read=read)


def one_tensor(batch: Any) -> Any:
    """Return a batch as a learner takes it: of a text its tokens alone, as a mask would pass the cuts beside them."""
    if not isinstance(batch, dict):
        return batch
    return (batch["input_ids"], batch["labels"]) if "labels" in batch else batch["input_ids"]


def _side(model: Subject, contender: Contender, whole: Any, device: torch.device) -> StepBenchmark:
    whole = to_device(whole, device)
    trained = made(model, contender, whole, rate=1e-4, seed=0, model=model.make().to(device))
    few = whole[:_FEW] if isinstance(whole, torch.Tensor) else tuple(part[:_FEW] for part in whole)
    trainer = LocalTrainer(trained.as_learner(few), trained.settings)
    inputs, target = as_batch(whole)
    plan = trained.plan
    target = check_target(target, plan.task, plan.outputs, inputs, trained.ignore_index, plan.parts[-1].layout)
    return StepBenchmark(contender.name, trainer, repeat((inputs, target)), len(inputs))


def rows(curve: MemoryCurve) -> list[dict[str, object]]:
    """Return a row for each point; those of backprop also state what the method needs beside it, None: not reached."""
    ways: list[tuple[str, CurvePoint]] = [(curve.method, point) for point in curve.own]
    ways += [("backprop", point) for point in curve.backprop]
    whole = curve.backprop[0]
    return [
        {
            "net": curve.recipe,
            "trained_by": name,
            "images": curve.batch_size,
            "micro_batches": point.micro_batches,
            "recompute": point.recompute,
            "step_together": point.step_together,
            "peak_mb": point.peak / 1e6,
            "seconds": point.seconds,
            "of_backprops_memory": point.peak / whole.peak,
            "of_backprops_time": point.seconds / whole.seconds,
            "memory_at_its_time": curve.memory_at_time_of(point) if name == "backprop" else None,
            "time_at_its_memory": curve.time_at_memory_of(point) if name == "backprop" else None,
            "measured_on": curve.environment.device,
            "commit": curve.environment.commit,
        }
        for name, point in ways
    ]


if __name__ == "__main__":
    main()
