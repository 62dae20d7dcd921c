"""Obstacles to a graph: each kind is found and named, and a plain step has none."""

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from core_toys import FEATURES, WIDTH, batch, make_learner
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from onward.core import LocalTrainer, TrainerSettings, current_seed
from onward.core.obstacles import obstacles


class Body(nn.Module):
    """A linear body that does something else as well."""

    def __init__(self, act: Callable[[Any, Tensor], object]):
        super().__init__()
        self.linear = nn.Linear(FEATURES, WIDTH)
        self.act = act
        self.counter = 0
        self.kept = torch.zeros(1)
        self.counts = {"steps": 0}
        self.means = [torch.zeros(1)]
        self.draw = np.random.default_rng(0)

    def forward(self, x: Tensor) -> Tensor:
        self.act(self, x)
        return self.linear(x)


def _count(body: Any, x: Tensor) -> None:
    body.counter += 1


def _exchange(body: Any, x: Tensor) -> None:
    body.kept = body.kept + 1


def _count_inside(body: Any, x: Tensor) -> None:
    body.counts["steps"] += 1


def _exchange_inside(body: Any, x: Tensor) -> None:
    body.means[0] = body.means[0] + 1


def _fill(body: Any, x: Tensor) -> None:
    x.clone().data = torch.zeros(1)


def _drawn_twice(body: Any, x: Tensor) -> None:
    state = torch.get_rng_state()
    torch.rand(2)
    torch.set_rng_state(state)


def _recomputed(body: Any, x: Tensor) -> None:
    own = x.clone().requires_grad_()
    checkpoint(nn.functional.dropout, own, use_reentrant=False).sum().backward()


KINDS = {
    "nothing": (lambda body, x: x + 1, None),
    "number": (lambda body, x: x.sum().item(), "reads a value on the host"),
    "condition": (lambda body, x: bool((x > 0).any()), "reads a value on the host"),
    "one_hot": (lambda body, x: nn.functional.one_hot(torch.arange(len(x)) % 2), "reads a value on the host"),
    "nonzero": (lambda body, x: x.nonzero(), "has a shape that depends on values"),
    "mask": (lambda body, x: x[x > 0], "has a shape that depends on values"),
    "mask_written": (lambda body, x: x.clone().index_put_((x > 0,), torch.ones(())), "has a shape that depends on"),
    "numbers": (lambda body, x: torch.tensor([1.0, 2.0]), "copies numbers from the host"),
    "generator": (lambda body, x: torch.Generator(), "creates a random generator"),
    "seed": (lambda body, x: current_seed(), "reads the seed of the step"),
    "counter": (_count, "blocks.0.body.counter changes in Python"),
    "exchanged": (_exchange, "blocks.0.body.kept changes in Python"),
    "counter in a dict": (_count_inside, "blocks.0.body.counts changes in Python"),
    "exchanged in a list": (_exchange_inside, "blocks.0.body.means changes in Python"),
    "generator of numpy": (lambda body, x: body.draw.random(), "blocks.0.body.draw changes in Python"),
    "numpy draws": (lambda body, x: np.random.rand(), "draws from numpy's random numbers"),
    "Python draws": (lambda body, x: random.choice([1, 2]), "draws from Python's random module"),
    "list": (lambda body, x: x.tolist(), "reads a value on the host"),
    "array": (lambda body, x: x.numpy(), "reads a value on the host"),
    "memory": (_fill, "exchanges the memory of a tensor"),
    "state": (_drawn_twice, "sets the state of random numbers"),
    "same state": (lambda body, x: torch.set_rng_state(torch.get_rng_state()), None),
    "dropout computed again": (_recomputed, "sets the state of random numbers"),
    "draw": (lambda body, x: torch.rand(2), None),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_named(kind: str):
    act, expected = KINDS[kind]
    learner = make_learner(depth=1, body=lambda index: Body(act))
    trainer = LocalTrainer(learner, TrainerSettings())
    trainer.step(*batch(), step=0)
    found = obstacles(partial(trainer.step, *batch(), step=1), learner)
    if expected is None:
        assert found == []
    else:
        assert len(found) == 1 and found[0].startswith(expected)
        assert "changes" in found[0] or "numpy's" in found[0] or " in tests/core/test_obstacles.py" in found[0]
    assert torch.Generator().device.type == "cpu"  # torch's own again


def test_hooks_are_named_with_their_module():
    learner = make_learner(depth=2)
    learner.blocks[1].body.register_forward_hook(lambda module, args, out: None)
    trainer = LocalTrainer(learner, TrainerSettings())
    trainer.step(*batch(), step=0)
    found = obstacles(partial(trainer.step, *batch(), step=1), learner)
    assert found == ["blocks.1.body has hooks, which Python runs"]


def test_hooks_of_weights_and_optimizers_are_named():
    learner = make_learner(depth=2)
    learner.blocks[1].body.get_parameter("0.weight").register_hook(lambda gradient: None)
    trainer = LocalTrainer(learner, TrainerSettings())
    (part,) = trainer.optimizers[0].parts
    part.optimizer.register_step_pre_hook(lambda optimizer, args, kwargs: None)
    trainer.step(*batch(), step=0)
    found = obstacles(partial(trainer.step, *batch(), step=1), learner, [part.optimizer])
    assert found == [
        "blocks.1.body.0.weight has hooks, which Python runs",
        "optimizers have hooks, which Python runs",
    ]


def test_a_watched_step_is_an_ordinary_step():
    plain, watched = (LocalTrainer(make_learner(), TrainerSettings(), seed=3) for _ in range(2))
    for step in range(3):
        plain.step(*batch(), step=step)
        assert obstacles(partial(watched.step, *batch(), step=step), watched.learner) == [] or step == 0
    for one, other in zip(plain.learner.parameters(), watched.learner.parameters(), strict=True):
        assert torch.equal(one, other)
