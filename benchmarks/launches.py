"""Operations that a step starts, and what starting them takes: greedy beside backprop, on nets too small to compute.

An operation is what torch dispatches once and a GPU launches at least one kernel for: views, allocations and what has
no tensor for its result are left out. Times are the process's own on one CPU thread, so that neighbors do not count.
`together`: one optimizer step over all blocks (`TrainerSettings.step_together`) on both sides, where spans allow it.
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
from report import Order, begin, finish

SHAPE, CLASSES, BATCH = (3, 16, 16), 10, 4
SUBJECTS: list[tuple[Algorithm, Architecture]] = [
    (DeeperForward(), ResNet17(width=10, dropout=0.0)),
    (ASGE(), VGG8(width=8, dropout=0.0)),
    (DeeperForward(), TinyCNN(width=10, dropout=0.0)),
    (PredSim(), Airbench(width=8)),
    (DistanceForward(), MLP(width=32, depth=4)),
]
_AT_ONCE = 3  # steps that are timed together: clocks of processes are coarse


def main() -> None:
    order = begin(__doc__ or "", steps=40)
    torch.set_num_threads(1)
    rows = [_row(algorithm, net, order) for algorithm, net in SUBJECTS]
    finish("launches", order, "operations and overhead of a step, greedy beside backprop", rows)


def _row(algorithm: Algorithm, net: Architecture, order: Order) -> dict[str, object]:
    sides = (algorithm, Backprop(of=algorithm))
    steps = [repeated(own, net, order.device) for own in sides]
    if not isinstance(algorithm, DistanceForward):  # its pairs of blocks overlap: the second update needs the first
        steps += [repeated(own, net, order.device, TrainerSettings(step_together=True)) for own in sides]
    counted = [operations(step) for step in steps]
    timed = interleave([lambda step=step: _seconds(step) for step in steps], order.steps)
    greedy, backprop, *together = (median(times) for times in timed)
    return {
        "method": type(algorithm).__name__,
        "net": type(net).__name__,
        "batch": BATCH,
        "greedy_operations": counted[0].total(),
        "backprop_operations": counted[1].total(),
        "ratio_of_operations": counted[0].total() / counted[1].total(),
        "greedy_ms": 1000 * greedy,
        "backprop_ms": 1000 * backprop,
        "ratio": greedy / backprop,
        "together_operations": counted[2].total() if together else None,
        "together_ms": 1000 * together[0] if together else None,
        "together_ratio": together[0] / together[1] if together else None,
    }


def repeated(
    algorithm: Algorithm, net: Architecture, device: torch.device, settings: TrainerSettings | None = None
) -> Callable[[], object]:
    """Return what trains a fresh learner on the same batch once more; all optimizer state is there already."""
    torch.manual_seed(0)
    settings = settings or TrainerSettings()
    learner = algorithm(net(SHAPE, CLASSES), CLASSES).laid_out(settings, device).train()
    trainer = LocalTrainer(learner, settings)
    batch = torch.rand(BATCH, *SHAPE, device=device), torch.arange(BATCH, device=device)
    for step in range(2 * len(learner.turns)):
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
