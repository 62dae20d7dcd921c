"""The losses of five steps of every algorithm, as recorded: a change here is a change of method.

After a wanted change, say so in CHANGELOG.md and run `PYTHONPATH=src python tests/algorithms/test_traces.py`.
"""

import json
from pathlib import Path

import pytest
import torch

from onward.algorithms import ALGORITHMS, Algorithm
from onward.core import Learner, LocalTrainer, TrainerSettings
from onward.nets import MLP, Architecture, TinyCNN

RECORDED = Path(__file__).parent / "traces.json"
SHAPE, CLASSES, STEPS = (1, 8, 8), 4, 5
NETS = (MLP(width=16, depth=3), TinyCNN(width=4))


def _learner(algorithm: type[Algorithm], net: Architecture) -> Learner | None:
    """A fresh learner, or None where the algorithm cannot train this network."""
    torch.manual_seed(0)
    try:
        return algorithm()(net(SHAPE, CLASSES), CLASSES)
    except ValueError:
        return None


CASES = {
    f"{algorithm.__name__} on {type(net).__name__}": (algorithm, net)
    for algorithm in ALGORITHMS
    for net in NETS
    if _learner(algorithm, net) is not None
}


def _trace(algorithm: type[Algorithm], net: Architecture) -> list[list[float]]:
    """Losses of five steps, one row per step and one column per span."""
    learner = _learner(algorithm, net)
    assert learner is not None
    trainer = LocalTrainer(learner, TrainerSettings(learning_rate=0.01, schedule="constant"), seed=7)
    generator = torch.Generator().manual_seed(1)
    losses = []
    for step in range(STEPS):
        x = torch.rand(16, *SHAPE, generator=generator)
        y = torch.randint(0, CLASSES, (16,), generator=generator)
        losses.append(trainer.step(x, y, step=step).tolist())
    return losses


@pytest.mark.parametrize("case", CASES)
def test_the_losses_are_as_recorded(case: str):
    recorded = json.loads(RECORDED.read_text())
    assert case in recorded, f"{case} has no recorded trace; {__doc__}"
    steps = zip(_trace(*CASES[case]), recorded[case], strict=True)
    for found, expected in steps:  # steps may differ in how many spans they train
        torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=1e-4, atol=1e-4)


def test_nothing_is_recorded_that_is_gone():
    assert set(json.loads(RECORDED.read_text())) == set(CASES)


if __name__ == "__main__":
    torch.set_num_threads(1)
    rows = [
        f'  "{case}": [\n' + ",\n".join(f"    {[round(loss, 6) for loss in row]}" for row in _trace(*how)) + "\n  ]"
        for case, how in CASES.items()
    ]
    RECORDED.write_text("{\n" + ",\n".join(rows) + "\n}\n")
