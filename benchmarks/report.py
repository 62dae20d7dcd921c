"""What every benchmark shares: its flags, its table and its file."""

import argparse
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from onward.runs.environment import choose_device, environment
from onward.training.process import keep_freed_memory

_FOLDER = Path(__file__).parent.parent / "results" / "benchmarks"


@dataclass(frozen=True)
class Order:
    """What the command line asked for."""

    device: torch.device
    steps: int
    quick: bool
    whole: bool


def begin(description: str, *, steps: int = 5) -> Order:
    """Read the flags and set the process up as the command does."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 or auto (cpu)")
    parser.add_argument("--steps", type=int, default=steps, help=f"timed steps of each contender ({steps})")
    parser.add_argument("--quick", action="store_true", help="small networks and batches: does it run at all?")
    parser.add_argument("--whole", action="store_true", help="also what a CPU takes minutes for")
    given = parser.parse_args()
    keep_freed_memory()
    torch.set_flush_denormal(True)
    device = choose_device(given.device)
    return Order(device, given.steps, given.quick, given.whole or device.type != "cpu")


def finish(name: str, order: Order, title: str, rows: Iterable[dict[str, Any]]) -> None:
    """Print a table of rows, one column per key, and file them; a quick look is not filed."""
    rows = list(rows)
    table = Table(title=title, title_justify="left")
    for column in rows[0]:
        table.add_column(column.replace("_", " "), justify="left" if isinstance(rows[0][column], str) else "right")
    for row in rows:
        table.add_row(*(_text(value) for value in row.values()))
    Console(highlight=False, width=180).print(table)
    if order.quick:
        return
    _FOLDER.mkdir(parents=True, exist_ok=True)
    path = _FOLDER / f"{name}{'' if order.device.type == 'cpu' else '-' + order.device.type}.json"
    content = {"benchmark": name, "figure": title, "environment": environment(order.device), "rows": rows}
    path.write_text(json.dumps(content, indent=1) + "\n")
    print(path)


def _text(value: Any) -> str:
    return f"{value:,.3f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
