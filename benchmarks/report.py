"""What every benchmark shares: its flags, its table and its file."""

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from onward.costs.step_benchmark import StepBenchmark
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
    only: tuple[str, ...] = ()
    """Parts to measure, also those that were; none: all that were not."""
    into: Path = _FOLDER
    """The folder of the file of results."""
    costs: bool = False
    """Whether memory and time alone are measured again."""

    @property
    def captured(self) -> bool:
        """Whether steps are also measured as CUDA graphs; a quick look goes the same way, without graphs on a CPU."""
        return self.quick or self.device.type == "cuda"


def begin(description: str, *, steps: int = 5, parts: Sequence[str] = ()) -> Order:
    """Read the flags and set the process up as the command does. `parts` may be asked for by name."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 or auto (cpu)")
    parser.add_argument("--steps", type=int, default=steps, help=f"timed steps of each variant ({steps})")
    parser.add_argument("--quick", action="store_true", help="small networks and batches: does it run at all?")
    parser.add_argument("--whole", action="store_true", help="also what a CPU takes minutes for")
    parser.add_argument("--into", type=Path, default=_FOLDER, help="folder of the file of results (results/benchmarks)")
    if parts:
        parser.add_argument("--only", nargs="+", default=[], choices=parts, help="measure these (again)")
        parser.add_argument("--costs", action="store_true", help="memory and time alone, beside what is filed")
    given = parser.parse_args()
    keep_freed_memory()
    torch.set_flush_denormal(True)
    device = choose_device(given.device)
    only = tuple(given.only) if parts else ()
    whole, costs = given.whole or device.type != "cpu", bool(parts) and given.costs
    return Order(device, given.steps, given.quick, whole, only, given.into, costs)


def on_one_thread(benchmarks: Iterable[StepBenchmark], order: Order) -> None:
    """On a CPU, measure the process's own time on one thread, so that neighbors do not count."""
    if order.device.type == "cpu":
        torch.set_num_threads(1)
        for benchmark in benchmarks:
            benchmark.read = time.process_time


def path_of(name: str, order: Order) -> Path:
    """Return the file of a benchmark's results on this kind of device."""
    return order.into / f"{name}{'' if order.device.type == 'cpu' else '-' + order.device.type}.json"


def rows_of(name: str, order: Order) -> list[dict[str, Any]]:
    """Return the rows that are filed, none where there is no file."""
    path = path_of(name, order)
    return json.loads(path.read_text())["rows"] if path.exists() else []


def commit_of(name: str, order: Order) -> str:
    """Return the commit at which a file was written."""
    return json.loads(path_of(name, order).read_text())["environment"]["commit"]


def finish(
    name: str, order: Order, title: str, rows: Iterable[dict[str, Any]], *, unprinted: Sequence[str] = ()
) -> None:
    """File each row when it is measured, and print their table, one column per key but those `unprinted`.

    A quick look is not filed.
    """
    known: list[dict[str, Any]] = []
    for row in rows:
        known.append(row)
        file(name, order, title, known)
    show(title, known, unprinted=unprinted)
    if not order.quick:
        print(path_of(name, order))


def show(title: str, rows: Sequence[dict[str, Any]], *, unprinted: Sequence[str] = ()) -> None:
    """Print a table of rows, one column per key but those `unprinted`."""
    table = Table(title=title, title_justify="left")
    columns = [column for column in rows[0] if column not in unprinted]
    for column in columns:
        table.add_column(column.replace("_", " "), justify="left" if isinstance(rows[0][column], str) else "right")
    for row in rows:
        table.add_row(*(_text(row[column]) for column in columns))
    Console(highlight=False, width=180).print(table)


def file(name: str, order: Order, title: str, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows into the file of a benchmark, in place of those that were there, unless it is a quick look."""
    if order.quick:
        return
    path = path_of(name, order)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"benchmark": name, "figure": title, "environment": asdict(environment(order.device)), "rows": rows}
    path.write_text(json.dumps(content, indent=1) + "\n")


def _text(value: Any) -> str:
    return f"{value:,.3f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
