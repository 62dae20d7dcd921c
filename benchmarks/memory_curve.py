"""Peak memory of a step over its time: a method and backprop, with micro-batches, recomputing, and both.

On a CPU times are the process's own on one thread, so that neighbors do not count. A network is filed as soon as it is
measured; started again, the script measures the missing ones, `--only` measures networks again.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from onward.costs.memory_curve import CurvePoint, MemoryCurve, memory_curve
from report import begin, file, rows_of, show
from subjects import subject

IMAGES = {"mlp": 128, "tiny_cnn": 128, "airbench": 128, "vgg8": 64, "resnet17": 32}
"""Images of a step; 128 of all networks with `--whole`."""


def main() -> None:
    order = begin(__doc__ or "", steps=2, parts=tuple(IMAGES))
    read: Callable[[], float] | None = None
    if order.device.type == "cpu":
        torch.set_num_threads(1)
        read = time.process_time
    title = (
        "memory of a step over its time (targets: at equal time <= 0.6 of backprop's memory, else <= 0.8 of its time)"
    )
    known = [] if order.quick else rows_of("memory_curve", order)
    for name in IMAGES:
        if (order.only and name not in order.only) or (not order.only and any(row["net"] == name for row in known)):
            continue
        recipe = subject(name, batch_size=128 if order.whole else IMAGES[name], quick=order.quick)
        assert recipe is not None
        curve = memory_curve(
            replace(recipe, name=name),
            order.device,
            data_dir=Path("no-data-needed"),
            steps=order.steps,
            read=read,
        )
        own = rows(curve)
        show(title, own)
        known = [row for row in known if row["net"] != name] + own
        file("memory_curve", order, title, known)


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
            "peak_mb": point.peak / 1e6,
            "seconds": point.seconds,
            "of_backprops_memory": point.peak / whole.peak,
            "of_backprops_time": point.seconds / whole.seconds,
            "memory_at_its_time": curve.memory_at_time_of(point) if name == "backprop" else None,
            "time_at_its_memory": curve.time_at_memory_of(point) if name == "backprop" else None,
        }
        for name, point in ways
    ]


if __name__ == "__main__":
    main()
