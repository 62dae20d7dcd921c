"""The fuzzer: damaged and odd inputs of every kind, and what comes of them.

    python tests/fuzz/fuzzing.py --cases 100000 --seed 1      counts by target and outcome
    python tests/fuzz/fuzzing.py --seed 1 --case 4711         one case again, with its traceback

A case depends on the seed and its number alone.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a damaged set must not be looked for elsewhere
os.environ.setdefault("OMP_NUM_THREADS", "1")

import fuzz_arrays
import fuzz_combinations
import fuzz_images
import fuzz_kinds
import fuzz_names
import fuzz_online
import fuzz_run_files
import fuzz_settings
import fuzz_shards
import torch
from fuzz_case import BAD, OUTCOMES, Case, Outcome, Target, judge

TARGETS: tuple[Target, ...] = (
    fuzz_arrays.TARGET,
    fuzz_online.TARGET,
    fuzz_kinds.TARGET,
    fuzz_images.TARGET,
    fuzz_run_files.TARGET,
    fuzz_shards.TARGET,
    fuzz_names.TARGET,
    fuzz_settings.TARGET,
    fuzz_combinations.TARGET,
)


class Fuzzer:
    """Worlds made once, and cases in them; everything lies in one temporary folder, in memory where there is such."""

    def __init__(self, seed: int, seconds: float):
        self.seed, self.seconds = seed, seconds
        memory = Path("/dev/shm")
        self.root = Path(tempfile.mkdtemp(prefix="onward-fuzz-", dir=memory if memory.is_dir() else None))
        self.worlds: dict[str, Any] = {}
        os.environ["ONWARD_CACHE"] = str(self.root / "cache")
        os.environ.pop("ONWARD_DATA", None)
        warnings.simplefilter("ignore")
        torch.set_num_threads(1)

    def __enter__(self) -> "Fuzzer":
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    def world(self, target: Target) -> Any:
        """Return what all cases of a target share."""
        if target.name not in self.worlds:
            folder = self.root / target.name
            folder.mkdir()
            self.worlds[target.name] = target.prepare(folder)
        return self.worlds[target.name]

    def case(self, target: Target, number: int) -> Outcome:
        """Carry out one case and return its outcome."""
        world, folder = self.world(target), self.root / "case"
        case = Case(random.Random(f"{self.seed} {target.name} {number}"), folder)
        torch.manual_seed(number)
        before = os.getcwd()
        folder.mkdir()
        try:
            os.chdir(folder)
            return judge(target, world, case, self.seconds)
        finally:
            os.chdir(before)
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(self.root / "cache", ignore_errors=True)

    def again(self, target: Target, number: int) -> None:
        """Carry out one case and let its error out."""
        world, folder = self.world(target), self.root / "case"
        case = Case(random.Random(f"{self.seed} {target.name} {number}"), folder)
        torch.manual_seed(number)
        folder.mkdir()
        os.chdir(folder)
        try:
            target.case(case, world)
        except BaseException:  # noqa: BLE001 (also a hang)
            traceback.print_exc()
        print(f"did: {'; '.join(case.did)}")


def target_of(number: int, targets: tuple[Target, ...]) -> Target:
    """Return the target of a case: of a hundred in a row each has its share, spread evenly."""
    whole = sum(target.share for target in targets)
    # The golden ratio spreads the numbers of a short slice over all targets.
    place = (number * 0.6180339887498949) % 1 * whole
    for target in targets:
        place -= target.share
        if place < 0:
            return target
    return targets[-1]


def _number(text: str) -> int | None:
    return int(text) if text else None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=2000, help="how many cases")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", type=_number, help="only this case, with its traceback")
    parser.add_argument("--target", nargs="+", choices=[target.name for target in TARGETS], help="cases of these alone")
    parser.add_argument("--seconds", type=float, default=10.0, help="a case that takes longer hangs")
    parser.add_argument("--shown", type=int, default=20, help="bad cases of a target that are shown")
    return parser.parse_args()


def main() -> int:
    """Return 1 if a case was bad, else 0."""
    order = _arguments()
    chosen = tuple(target for target in TARGETS if order.target is None or target.name in order.target)
    with Fuzzer(order.seed, order.seconds) as fuzzer:
        if order.case is not None:
            fuzzer.again(target_of(order.case, chosen), order.case)
            return 0
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        spent: Counter[str] = Counter()
        started = time.perf_counter()
        for number in range(order.first, order.first + order.cases):
            target = target_of(number, chosen)
            outcome = fuzzer.case(target, number)
            counts[target.name][outcome.kind] += 1
            spent[target.name] += outcome.seconds  # pyright: ignore[reportArgumentType]
            if outcome.kind in BAD and sum(counts[target.name][kind] for kind in BAD) <= order.shown:
                _show(order, target, number, outcome)
        seconds = time.perf_counter() - started
    _table(counts, spent)
    print(f"{order.cases} cases in {seconds:.0f} s, seed {order.seed}, from number {order.first}")
    return int(any(count[kind] for count in counts.values() for kind in BAD))


def _show(order: argparse.Namespace, target: Target, number: int, outcome: Outcome) -> None:
    only = f" TARGET='{' '.join(order.target)}'" if order.target else ""
    print(f"{outcome.kind} in {target.name}: {outcome.text}".encode("unicode_escape").decode())
    print(f"    after: {outcome.did}".encode("unicode_escape").decode())
    print(f"    again: make fuzz SEED={order.seed} CASE={number}{only}", flush=True)


def _table(counts: dict[str, Counter[str]], spent: Counter[str]) -> None:
    print(f"{'target':<14}" + "".join(f"{kind:>15}" for kind in OUTCOMES) + f"{'all':>9}{'ms':>7}")
    total: Counter[str] = Counter()
    for name, count in counts.items():
        total += count
        row = "".join(f"{count[kind]:>15}" for kind in OUTCOMES)
        print(f"{name:<14}{row}{count.total():>9}{1000 * spent[name] / count.total():>7.1f}")
    row = "".join(f"{total[kind]:>15}" for kind in OUTCOMES)
    print(f"{'all':<14}{row}{total.total():>9}{1000 * sum(spent.values()) / total.total():>7.1f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
