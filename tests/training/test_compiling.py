"""Compiled bodies: the same results up to rounding, one program for equal bodies, and a word where it cannot be."""

from copy import deepcopy

import pytest
import torch

from onward.algorithms import PredSim
from onward.core import Learner, LocalTrainer, TrainerSettings
from onward.nets import MLP, TinyCNN
from onward.nets.net import Architecture
from onward.training import compiling
from onward.training.compiling import compile_bodies

_SHAPE = (1, 8, 8)


def _learner(net: Architecture) -> Learner:
    torch.manual_seed(0)
    return PredSim(beta=0.0)(net(_SHAPE, 10), 10)  # bodies of torch's own layers: shape checks cannot be traced


def _train(learner: Learner, steps: int = 4) -> torch.Tensor:
    trainer = LocalTrainer(learner, TrainerSettings(learning_rate=0.01), seed=0)
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(32, *_SHAPE, generator=generator), torch.randint(10, (32,), generator=generator)
    return torch.stack([trainer.step(x, y, step=step) for step in range(steps)])


@pytest.fixture
def programs():
    """Count the programs that are made, and forget them afterwards."""
    stats = torch._dynamo.utils.counters["stats"]
    before = stats["unique_graphs"]
    yield lambda: stats["unique_graphs"] - before
    torch._dynamo.reset()


def test_equal_bodies_share_a_program_and_learn_the_same(programs):
    plain, compiled = (_learner(MLP(width=20, depth=4)) for _ in range(2))
    compile_bodies(compiled)
    torch.testing.assert_close(_train(compiled), _train(plain), rtol=1e-4, atol=1e-5)
    assert programs() == 2, "one for the first body, one for the three behind it"


def test_bodies_with_dropout_stay_as_they_are(programs):
    plain, compiled = (_learner(TinyCNN(width=10, dropout=0.2)) for _ in range(2))
    compile_bodies(compiled)
    assert torch.equal(_train(compiled), _train(plain)) and programs() == 0


def test_a_copy_computes_with_its_own_weights(programs):
    learner = _learner(MLP(width=20, depth=2))
    names = list(learner.state_dict())
    compile_bodies(learner)
    body = learner.blocks[1].body
    copied = deepcopy(body)
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.zero_()
        x = torch.rand(3, 20)
        assert body(x).any() and not copied(x).any()
    assert list(learner.state_dict()) == names


def test_without_a_compiler_there_is_one_clear_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compiling.shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match="--compile needs a C\\+\\+ compiler"):
        compile_bodies(_learner(MLP(width=20, depth=2)))
