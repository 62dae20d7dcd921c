"""A whole training in captured steps, on a double of the graphs: the plain training, also stopped and resumed."""

import copy
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from onward.algorithms import Algorithm, DeeperForward, Trifecta
from onward.core import CapturedTrainer, Graphs
from onward.data import Augmentation
from onward.nets import MLP, Architecture, TinyCNN
from onward.training import StepDone, Training
from toy_trainings import same_tensors

CASES: dict[str, tuple[Algorithm, Architecture]] = {
    "dropout": (DeeperForward(), TinyCNN(width=6, dropout=0.3)),
    "turns and drawn labels": (Trifecta(), MLP(width=8, depth=3)),
}


class Repeated(Graphs):
    """Does recorded work again, as a graph would, and counts both."""

    name = "CUDA graphs"

    def __init__(self) -> None:
        self.records = self.repeats = 0

    def warm(self, work: Callable[[], object]) -> None:
        work()

    def record(
        self, work: Callable[[], list[Tensor]], generators: Sequence[torch.Generator]
    ) -> Callable[[], list[Tensor]]:
        self.records += 1

        def repeat() -> list[Tensor]:
            self.repeats += 1
            return work()

        return repeat


def _captured(training: Training) -> Repeated:
    graphs = Repeated()
    training.stepper = CapturedTrainer(training.trainer, graphs)
    return graphs


def _losses(training: Training) -> list[dict[int, float]]:
    return [event.losses for event in training if not isinstance(event, StepDone)]


@pytest.mark.parametrize("case", CASES)
def test_a_training_in_graphs_is_the_plain_one_also_stopped_and_resumed(case: str, make_training):
    algorithm, net = CASES[case]
    # The rates of a schedule are rounded to fp32 on a device; this one is the same in both.
    settings = {"algorithm": algorithm, "net": net, "epochs": 4, "ema_decay": 0.9, "schedule": "constant"}
    settings |= {"learning_rate": 0.0078125, "augmentation": Augmentation(crop=1) if "dropout" in case else None}
    plain, whole = make_training(**settings), make_training(**settings)
    graphs = _captured(whole)
    assert _losses(plain) == _losses(whole)
    assert same_tensors(plain.state()[0], whole.state()[0])
    assert graphs.records > 0 and graphs.repeats > graphs.records

    stopped, resumed = make_training(**settings), make_training(**settings)
    _captured(stopped)
    for _, event in zip(range(13), stopped, strict=False):
        assert event is not None
    tensors, notes = copy.deepcopy(stopped.state())
    graphs = _captured(resumed)
    for _, event in zip(range(9), resumed, strict=False):  # its own graphs are of weights that are exchanged now
        assert event is not None
    before = graphs.records
    resumed.load_state(tensors, notes)
    _losses(resumed)
    assert graphs.records > before > 0
    assert same_tensors(plain.state()[0], resumed.state()[0])
