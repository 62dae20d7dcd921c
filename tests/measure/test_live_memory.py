"""The memory meter: its categories are what a hand counts, its peak is that of the allocator, its floor is a floor."""

import gc
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from onward.core import Learner, LocalBlock, LocalTrainer, Span, TrainerSettings, each, whole
from onward.measure import CATEGORIES, MemoryMeter, memory_floor
from onward.parts.goodness.linear import LinearHead
from onward.parts.inference.scores import LastGoodness
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.supervision.labels import LabelInLoss

FLOAT, LONG = 4, 8  # bytes
B, WIDTH, CLASSES = 256, 32, 3


def _trainer(spans: Callable[[int], Sequence[Span]], depth: int, **settings) -> LocalTrainer:
    """Equal linear blocks, each with a head; one step was taken, so that optimizer state exists."""
    blocks = [
        LocalBlock(
            nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(inplace=True)),
            goodness=LinearHead(CLASSES, WIDTH),
            objective=CrossEntropy(),
        )
        for _ in range(depth)
    ]
    learner = Learner(blocks, supervision=LabelInLoss(), spans=spans(depth), rules={"last": LastGoodness()})
    trainer = LocalTrainer(learner, TrainerSettings(**settings))
    trainer.step(*_batch(), step=0)
    return trainer


def _batch() -> tuple[Tensor, Tensor]:
    return torch.rand(B, WIDTH), torch.arange(B) % CLASSES


def _measured(trainer: LocalTrainer) -> MemoryMeter:
    batch = _batch()
    with MemoryMeter(trainer, batch) as meter:
        trainer.step(*batch, step=1)
    return meter


def _weights(depth: int) -> int:
    return depth * (WIDTH * WIDTH + WIDTH + CLASSES * WIDTH + CLASSES) * FLOAT


MAP, HEAD = B * WIDTH * FLOAT, (CLASSES * WIDTH + CLASSES) * FLOAT


def test_what_stands_before_and_after_a_step_is_what_a_hand_counts():
    meter = _measured(_trainer(each, 3))
    counts = 3 * 4 * FLOAT  # AdamW counts the steps of each of a block's four tensors
    assert meter.by_category["parameters"] == _weights(3)
    assert meter.by_category["optimizer"] == 2 * _weights(3) + counts
    assert meter.by_category["batch"] == MAP + B * LONG
    assert sum(meter.by_category.values()) == meter.peak
    assert tuple(meter.by_category) == CATEGORIES


def test_a_greedy_block_holds_input_activity_and_gradient():
    """At the peak of the second block: its input and its activity, and of one gradient the old and the new."""
    meter = _measured(_trainer(each, 3))
    assert 2 * MAP <= meter.by_category["activations"] < 2.5 * MAP
    assert 2 * MAP <= meter.by_category["workspace"] < 2.5 * MAP


def test_backprop_holds_every_activity_and_every_gradient():
    """At the peak, in the last block: the activity of every block, and two gradients of one."""
    meter = _measured(_trainer(whole, 6))
    assert 6 * MAP <= meter.by_category["activations"] < 6.5 * MAP
    assert _gradients_alive_at_the_end(_trainer(whole, 6)) == 6 * (WIDTH * WIDTH + WIDTH) * FLOAT + HEAD


def _gradients_alive_at_the_end(trainer: LocalTrainer) -> int:
    """Bytes of gradients when the first optimizer of a span steps: those of the whole span."""
    found: list[int] = []
    batch = _batch()
    with MemoryMeter(trainer, batch) as meter:
        handle = (
            trainer.optimizers[0]
            .parts[0]
            .optimizer.register_step_pre_hook(lambda *_: found.append(_alive(meter, "gradients")))
        )
        trainer.step(*batch, step=1)
        handle.remove()
    return found[0]


def _alive(meter: MemoryMeter, category: str) -> int:
    return sum(held.size for held in meter._held.values() if held.category == category)


def test_the_peak_of_greedy_learning_grows_by_weights_alone():
    def beyond_weights(depth: int) -> int:
        meter = _measured(_trainer(each, depth))
        return meter.peak - meter.by_category["parameters"] - meter.by_category["optimizer"]

    assert beyond_weights(4) + 12 * FLOAT == beyond_weights(16)  # a loss per span


def test_a_backward_pass_is_seen():
    """What a C++ backward function returns goes through the meter too."""
    trainer = _trainer(each, 1)
    a = torch.rand(100, 100, requires_grad=True)
    with MemoryMeter(trainer) as meter:
        before = meter.alive
        out = a.exp().sum()
        assert meter.alive - before == (100 * 100 + 1) * FLOAT
        out.backward()
        assert a.grad is not None
        assert meter.peak - before >= 2 * 100 * 100 * FLOAT
        del out
        assert meter.alive - before == 100 * 100 * FLOAT


def test_views_cost_nothing_and_freed_storages_are_gone():
    gc.disable()
    try:
        with MemoryMeter(_trainer(each, 1)) as meter:
            before = meter.alive
            x = torch.rand(10, 10)
            views = [x[:5], x.t(), x.view(100)]
            assert meter.alive - before == 100 * FLOAT
            del x
            assert meter.alive - before == 100 * FLOAT
            del views
            assert meter.alive == before
    finally:
        gc.enable()


def test_the_peak_is_that_of_the_allocator():
    """The allocator's own record of a step whose operations allocate nothing for themselves says the same."""
    trainer, batch = _trainer(each, 2), _batch()
    with MemoryMeter(trainer, batch) as meter:
        trainer.step(*batch, step=1)
    before = meter.by_category["parameters"] + meter.by_category["optimizer"] + meter.by_category["batch"]
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        trainer.step(*batch, step=2)
    alive = peak = 0
    for event in profile.profiler.kineto_results.events():  # pyright: ignore[reportOptionalMemberAccess]
        if event.name() == "[memory]":
            alive += event.nbytes()  # pyright: ignore[reportAttributeAccessIssue]
            peak = max(peak, alive)
    assert meter.peak - before == pytest.approx(peak, rel=0.01)


def test_the_meter_changes_nothing():
    trainers = [_trainer(each, 2) for _ in range(2)]
    trainers[1].learner.load_state_dict(trainers[0].learner.state_dict())
    for plain, metered in zip(trainers[0].optimizers, trainers[1].optimizers, strict=True):
        metered.load_state({name: value.clone() for name, value in plain.state().items()})
    batch = _batch()
    loss = trainers[0].step(*batch, step=1)
    with MemoryMeter(trainers[1], batch):
        assert torch.equal(trainers[1].step(*batch, step=1), loss)
    state = trainers[0].learner.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in trainers[1].learner.state_dict().items())
    assert all(not block.body._forward_hooks for block in trainers[1].learner.blocks)


def test_micro_batches_shrink_what_backprop_holds():
    plain, pieces = (_measured(_trainer(whole, 8, micro_batches=count)) for count in (1, 8))
    assert pieces.by_category["activations"] < plain.by_category["activations"] / 3


def test_the_floor_is_what_a_hand_counts():
    trainer = _trainer(each, 3)
    floor = memory_floor(trainer, *_batch())
    assert floor.parameters == _weights(3)
    assert floor.block == 3 * MAP + _weights(1)
    assert floor.total <= _measured(trainer).peak
