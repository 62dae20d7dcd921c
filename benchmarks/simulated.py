"""The simulator against the pipeline: step time in 1, 2 and 4 processes of one thread, predicted and measured."""

import os
from typing import Any

from pipeline import measure
from report import Order, begin, finish


def main() -> None:
    order = begin(__doc__ or "", steps=20)
    rows = [_row(name, processes, order) for name in ("resnet17", "tiny_cnn") for processes in (1, 2, 4)]
    finish("simulated", order, "seconds of a step, predicted from the costs of its blocks, and measured", rows)


def _row(name: str, processes: int, order: Order) -> dict[str, Any]:
    """Predict and measure; processes that have to share a core cannot be as fast as on devices of their own."""
    steps, cores = measure(name, processes, order), len(os.sched_getaffinity(0))
    predicted = max(steps["predicted_step"], steps["work"] / cores)
    return {
        "net": name,
        "processes": processes,
        "cores": cores,
        "predicted_ms": 1e3 * predicted,
        "measured_ms": 1e3 * steps["step"],
        "measured_over_predicted": steps["step"] / predicted,
        "ms_on_devices_of_their_own": 1e3 * steps["predicted_step"],
        "speedup_on_devices_of_their_own": steps["work"] / steps["predicted_step"],
        "blocks_of_each_stage": " ".join(map(str, steps["stages"])),
    }


if __name__ == "__main__":
    main()
