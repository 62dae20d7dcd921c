"""Operations that a step starts, and what starting them takes: greedy beside backprop, on nets too small to compute.

An operation is what torch dispatches once and a GPU launches at least one kernel for: views, allocations and what has
no tensor for its result are left out. Times are the process's own on one CPU thread, so that neighbors do not count.
`together`: one optimizer step over all blocks (`TrainerSettings.step_together`) on both sides, where spans allow it.
`captured`: `TrainerSettings.capture="auto"` on both sides besides, on a CPU as recorded programs; `compiled`, with
`--whole` on a CPU, as compiled ones.
"""

import time
from collections import Counter
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from onward.algorithms import ASGE, Algorithm, Backprop, DeeperForward, DistanceForward, PredSim
from onward.core import LocalTrainer, TrainerSettings
from onward.costs.step_benchmark import interleave
from onward.nets import MLP, VGG8, Airbench, Architecture, ResNet17, TinyCNN
from onward.training.loop import stepper
from report import Order, begin, finish

SHAPE, CLASSES, BATCH = (3, 16, 16), 10, 4
SUBJECTS: list[tuple[Algorithm, Architecture]] = [
    (DeeperForward(), ResNet17(width=10, dropout=0.0)),
    (ASGE(), VGG8(width=8, dropout=0.0)),
    (DeeperForward(), TinyCNN(width=10, dropout=0.0)),
    (PredSim(), Airbench(width=8)),
    (DistanceForward(), MLP(width=32, depth=4)),
]
WAYS = ("plain", "together", "captured", "compiled")
_AT_ONCE = 3  # steps that are timed together: clocks of processes are coarse
_BEFORE = 5  # steps after which all optimizer state is there, and a captured step is a repetition


def main() -> None:
    order = begin(__doc__ or "", steps=40)
    torch.set_num_threads(1)
    rows = [_row(algorithm, net, order) for algorithm, net in SUBJECTS]
    finish("launches", order, "operations and overhead of a step, greedy beside backprop", rows)


def _row(algorithm: Algorithm, net: Architecture, order: Order) -> dict[str, object]:
    sides, ways = (algorithm, Backprop(of=algorithm)), _ways(algorithm, order)
    steps = [repeated(own, net, order.device, settings) for settings in ways.values() for own in sides]
    timed = interleave([lambda step=step: _seconds(step) for step in steps], order.steps)
    milliseconds = {name: [1000 * median(times) for times in timed[2 * k : 2 * k + 2]] for k, name in enumerate(ways)}
    row: dict[str, object] = {"method": type(algorithm).__name__, "net": type(net).__name__, "batch": BATCH}
    for k, way in enumerate(("plain", "together")):
        counts = [operations(step).total() for step in steps[2 * k : 2 * k + 2]] if way in ways else (None, None)
        row |= {f"{way}_operations": counts[0], f"{way}_operations_backprop": counts[1]}
    for way in WAYS:
        own, control = milliseconds.get(way, (None, None))
        ratio = own / control if own and control else None
        row |= {f"{way}_ms": own, f"{way}_backprop_ms": control, f"{way}_ratio": ratio}
    return row


def _ways(algorithm: Algorithm, order: Order) -> dict[str, TrainerSettings]:
    joined = not isinstance(algorithm, DistanceForward)  # its pairs of blocks overlap: each update needs the one before
    ways = {"plain": TrainerSettings()}
    if joined:
        ways["together"] = TrainerSettings(step_together=True)
    ways["captured"] = TrainerSettings(step_together=joined, capture="auto")
    if order.whole and order.device.type == "cpu":
        ways["compiled"] = TrainerSettings(step_together=joined, compile=True)
    return ways


def repeated(
    algorithm: Algorithm, net: Architecture, device: torch.device, settings: TrainerSettings | None = None
) -> Callable[[], object]:
    """Return what trains a fresh learner on the same batch once more; all optimizer state is there already."""
    torch.manual_seed(0)
    settings = settings or TrainerSettings()
    learner = algorithm(net(SHAPE, CLASSES), CLASSES).laid_out(settings, device).train()
    trainer = stepper(LocalTrainer(learner, settings))
    batch = torch.rand(BATCH, *SHAPE, device=device), torch.arange(BATCH, device=device)
    for step in range(_BEFORE * len(learner.turns)):
        trainer.step(*batch, step=step)
    return lambda: trainer.step(*batch, step=0)


def _seconds(step: Callable[[], object]) -> float:
    before = time.process_time()
    for _ in range(_AT_ONCE):
        step()
    return (time.process_time() - before) / _AT_ONCE


def operations(work: Callable[[], object]) -> Counter[str]:
    """Return how often each operation is started by some work."""
    with _Counted() as counted:
        work()
    return counted.found


class _Counted(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if not name.startswith(("empty", "new_empty", "_unsafe_view")) and _computes(func._schema):
            self.found[name] += 1
        return func(*args, **(kwargs or {}))


def _computes(schema: Any) -> bool:
    """Whether an operation writes something: into a tensor of its own, or into one that it was given."""
    own = any("Tensor" in str(result.type) and result.alias_info is None for result in schema.returns)
    return own or schema.is_mutable


if __name__ == "__main__":
    main()
