"""Obstacles to a graph: each kind is found and named, and a plain step has none."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from core_toys import FEATURES, WIDTH, batch, make_learner
from torch import Tensor, nn

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

    def forward(self, x: Tensor) -> Tensor:
        self.act(self, x)
        return self.linear(x)


def _count(body: Any, x: Tensor) -> None:
    body.counter += 1


def _exchange(body: Any, x: Tensor) -> None:
    body.kept = body.kept + 1


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
        assert "changes" in found[0] or "> in tests/core/test_obstacles.py" in found[0]
    assert torch.Generator().device.type == "cpu"  # torch's own again


def test_hooks_are_named_with_their_module():
    learner = make_learner(depth=2)
    learner.blocks[1].body.register_forward_hook(lambda module, args, out: None)
    trainer = LocalTrainer(learner, TrainerSettings())
    trainer.step(*batch(), step=0)
    found = obstacles(partial(trainer.step, *batch(), step=1), learner)
    assert found == ["blocks.1.body has hooks, which Python runs"]


def test_a_watched_step_is_an_ordinary_step():
    plain, watched = (LocalTrainer(make_learner(), TrainerSettings(), seed=3) for _ in range(2))
    for step in range(3):
        plain.step(*batch(), step=step)
        assert obstacles(partial(watched.step, *batch(), step=step), watched.learner) == [] or step == 0
    for one, other in zip(plain.learner.parameters(), watched.learner.parameters(), strict=True):
        assert torch.equal(one, other)
