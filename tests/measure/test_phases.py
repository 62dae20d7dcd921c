"""Phases: every part of a step goes to its block and phase, and none is lost."""

import time
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from onward.core import Learner, LocalBlock, LocalTrainer, Span, TrainerSettings, chunks, each, whole
from onward.measure import PHASES, Phases, clock
from onward.parts.goodness.linear import LinearHead
from onward.parts.handoff.norms import Handoff, UnitLength
from onward.parts.inference.scores import LastGoodness
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.supervision.labels import LabelInLoss


class _Carry(nn.Module):
    def forward(self, x: Tensor, *skips: Tensor) -> tuple[Tensor, ...]:
        return (x, *skips)


class _Counted(torch.autograd.Function):
    """Passes a tensor on; counts `forward` on the way up and `backward` on the way down."""

    @staticmethod
    def forward(ctx, x: Tensor, counter: list[float], forward: float, backward: float) -> Tensor:
        counter[0] += forward
        ctx.counter, ctx.backward_cost = counter, backward
        return x.clone()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        ctx.counter[0] += ctx.backward_cost
        return gradient, None, None, None


class _Body(nn.Module):
    def __init__(self, counter: list[float], cost: float):
        super().__init__()
        self.linear, self.counter, self.cost = nn.Linear(6, 6), counter, cost

    def forward(self, x: Tensor) -> Tensor:
        return _Counted.apply(self.linear(x), self.counter, self.cost, 10 * self.cost)


class _Normalize(nn.Module):
    def __init__(self, counter: list[float]):
        super().__init__()
        self.counter = counter

    def forward(self, x: Tensor) -> Tensor:
        self.counter[0] += 100_000
        return UnitLength()(x)


def _trainer(counter: list[float], spans: Callable[[int], Sequence[Span]], depth: int = 3, **settings) -> LocalTrainer:
    """Block k counts k + 1 forward, ten times that backward, 100,000 in the handoff, a million when it steps."""
    blocks = [
        LocalBlock(
            _Body(counter, k + 1),
            goodness=LinearHead(3, 6),
            objective=CrossEntropy(),
            handoff=Handoff(_Normalize(counter), _Carry()),
        )
        for k in range(depth)
    ]
    learner = Learner(blocks, supervision=LabelInLoss(), spans=spans(depth), rules={"last": LastGoodness()})
    trainer = LocalTrainer(learner, TrainerSettings(**settings))
    for optimizer in trainer.optimizers:
        optimizer.parts[0].optimizer.register_step_post_hook(lambda *_: counter.__setitem__(0, counter[0] + 1_000_000))
    return trainer


def _shares(spans, **settings) -> dict[tuple[int | None, str], float]:
    counter = [0.0]
    trainer = _trainer(counter, spans, **settings)

    def work() -> None:
        counter[0] += 7
        trainer.step(torch.rand(8, 6), torch.arange(8) % 3, step=0)

    with Phases(trainer, lambda: counter[0]) as phases:
        shares = phases.of(work)
    assert sum(shares.values()) == counter[0]
    return shares


def _of(shares: dict, phase: str) -> list[float]:
    return [shares.get((block, phase), 0) for block in range(3)]


@pytest.mark.parametrize("spans", [each, whole, lambda depth: chunks(depth, 2)])
def test_each_part_goes_to_its_block_and_phase(spans):
    shares = _shares(spans)
    assert shares[None, "data"] == 7
    assert _of(shares, "forward") == [1, 2, 3]
    assert _of(shares, "gradient") == [10, 20, 30]
    assert _of(shares, "handoff") == [100_000] * 3
    assert _of(shares, "optimizer") == [1_000_000] * 3
    assert {phase for _, phase in shares} == set(PHASES)


def test_micro_batches_add_up():
    shares = _shares(each, micro_batches=2)
    assert _of(shares, "forward") == [2, 4, 6]
    assert _of(shares, "gradient") == [20, 40, 60]
    assert _of(shares, "optimizer") == [1_000_000] * 3


def test_what_is_computed_again_belongs_to_the_gradient():
    plain, shares = _shares(whole), _shares(whole, recompute=True)
    assert _of(shares, "forward") == _of(plain, "forward")
    assert _of(shares, "handoff") == _of(plain, "handoff")
    again = sum(_of(shares, "gradient")) - sum(_of(plain, "gradient"))
    assert again == 1 + 2 + 2 * 100_000  # the last block of a span is not computed again


def test_nothing_is_left_behind():
    counter = [0.0]
    trainer = _trainer(counter, each)
    with Phases(trainer, lambda: counter[0]):
        pass
    for block in trainer.learner.blocks:
        for module in (block.body, block.handoff, block.goodness):
            assert module is not None
            assert not module._forward_hooks and not module._forward_pre_hooks


def test_the_clock_counts_seconds():
    read = clock(torch.device("cpu"))
    before = read()
    time.sleep(0.01)
    assert 0.01 <= read() - before < 1
