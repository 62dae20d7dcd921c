"""Throughput of a pipeline: processes of one thread each against one process of one thread."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from report import Order, begin, finish


def main() -> None:
    order = begin(__doc__ or "", steps=20)
    rows = [_row(name, order) for name in ("resnet17", "vgg8")]
    finish("pipeline", order, "images/s of 2 processes over 1, one thread each (target 1.85)", rows)


def _row(name: str, order: Order) -> dict[str, Any]:
    alone, two, again = (measure(name, count, order) for count in (1, 2, 1))
    one = median([alone["rate"], again["rate"]])
    return {
        "net": name,
        "images_per_second_alone": one,
        "images_per_second_of_two": two["rate"],
        "ratio": two["rate"] / one,
        "message_bytes_per_step": two["sent"],
        "blocks_of_each_stage": " ".join(map(str, two["stages"])),
        "predicted_ratio": two["predicted"],
    }


def measure(name: str, processes: int, order: Order) -> dict[str, Any]:
    """Train steps in so many processes; return what the last of them measured."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rate.json"
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        words = [str(Path(__file__).parent / "pipeline_rank.py"), name, str(order.steps), str(order.quick), str(out)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run([*command, *words, str(order.device)], env=environment, check=True)
        return json.loads(out.read_text())


if __name__ == "__main__":
    main()
