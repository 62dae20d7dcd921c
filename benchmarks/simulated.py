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
    found, cores = measure(name, processes, order), len(os.sched_getaffinity(0))
    predicted = max(found["predicted_step"], found["work"] / cores)
    return {
        "net": name,
        "processes": processes,
        "cores": cores,
        "predicted_ms": 1e3 * predicted,
        "measured_ms": 1e3 * found["step"],
        "measured_over_predicted": found["step"] / predicted,
        "ms_on_devices_of_their_own": 1e3 * found["predicted_step"],
        "speedup_on_devices_of_their_own": found["work"] / found["predicted_step"],
        "blocks_of_each_stage": " ".join(map(str, found["stages"])),
    }


if __name__ == "__main__":
    main()
