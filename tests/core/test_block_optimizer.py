"""One optimizer per block: clipping, averaging, and a state that can be saved and restored."""

import copy
from dataclasses import replace

import pytest
import torch
from core_toys import CLASSES, WIDTH, batch, linear, make_learner, same, train, weights
from torch import Tensor, nn

from onward.algorithms import CwComp
from onward.core import BlockOptimizer, LocalBlock, LocalTrainer, Target, TrainerSettings
from onward.nets import CFSE
from onward.parts.goodness.linear import LinearHead
from onward.parts.objective.class_scores import CrossEntropy

KINDS = {
    "sgd": TrainerSettings(optimizer="sgd", learning_rate=0.1),
    "sgd without momentum": TrainerSettings(optimizer="sgd", learning_rate=0.1, momentum=0.0),
    "adam": TrainerSettings(optimizer="adam", learning_rate=0.05, weight_decay=0.1),
    "adamw": TrainerSettings(optimizer="adamw", learning_rate=0.05, weight_decay=0.1),
    "adamw, averaged": TrainerSettings(optimizer="adamw", learning_rate=0.05, ema_decay=0.8),
}


def _conv_block() -> LocalBlock:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, WIDTH, 3), nn.ReLU())
    block = LocalBlock(body, goodness=LinearHead(CLASSES, WIDTH), objective=CrossEntropy())
    return block.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def _steps(block: LocalBlock, optimizer: BlockOptimizer, numbers: range) -> None:
    for number in numbers:
        generator = torch.Generator().manual_seed(number)
        x = torch.randn(8, 3, 6, 6, generator=generator).contiguous(memory_format=torch.channels_last)
        y = torch.randint(0, CLASSES, (8,), generator=generator)
        block.loss(block.body(x), Target(y)).backward()
        optimizer.step()


def _resume(settings: TrainerSettings, stored) -> tuple[list[Tensor], list[Tensor]]:
    """Train 6 steps; and 3 steps, store, restore in a fresh block and optimizer, 3 steps."""
    block = _conv_block()
    optimizer = BlockOptimizer(block, settings)
    _steps(block, optimizer, range(3))
    fresh = _conv_block()
    fresh.load_state_dict(copy.deepcopy(block.state_dict()))
    resumed = BlockOptimizer(fresh, settings)
    resumed.load_state({name: stored(value) for name, value in optimizer.state().items()})
    _steps(block, optimizer, range(3, 6))
    _steps(fresh, resumed, range(3, 6))
    kept, restored = weights(block), weights(fresh)
    if optimizer.average is not None and resumed.average is not None:
        kept += weights(optimizer.average)
        restored += weights(resumed.average)
    return kept, restored


@pytest.mark.parametrize("kind", KINDS)
def test_a_restored_optimizer_goes_on_bit_for_bit(kind: str):
    kept, restored = _resume(KINDS[kind], torch.clone)
    assert same(kept, restored)


@pytest.mark.parametrize("kind", KINDS)
def test_a_restored_optimizer_goes_on_from_a_file_that_keeps_no_memory_layout(kind: str):
    # safetensors stores contiguous tensors; fused optimizers step over memory, not over indices
    kept, restored = _resume(KINDS[kind], lambda value: value.clone(memory_format=torch.contiguous_format))
    assert same(kept, restored)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "adafactor", "muon"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_bf16_weights_move_and_their_optimizer_goes_on_bit_for_bit(name: str, momentum: float):
    settings = TrainerSettings(optimizer=name, momentum=momentum, learning_rate=0.1)  # pyright: ignore[reportArgumentType]
    generator = torch.Generator().manual_seed(0)
    body = nn.Linear(16, 16).bfloat16()
    other = copy.deepcopy(body)
    first, second = (BlockOptimizer(LocalBlock(layer), settings) for layer in (body, other))
    gradients = [[torch.randn(p.shape, generator=generator).bfloat16() for p in body.parameters()] for _ in range(4)]

    def step(layer: nn.Module, optimizer: BlockOptimizer, number: int) -> None:
        for p, gradient in zip(layer.parameters(), gradients[number], strict=True):
            p.grad = gradient.clone()
        optimizer.step()

    before = [p.detach().clone() for p in body.parameters()]
    for number in (0, 1):
        step(body, first, number)
    assert all((p != old).float().mean() > 0.2 for p, old in zip(body.parameters(), before, strict=True))
    other.load_state_dict(body.state_dict())
    second.load_state(first.state())
    for number in (2, 3):
        step(body, first, number)
        step(other, second, number)
    assert same(weights(body), weights(other))


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_is_copied_when_it_is_restored(kind: str):
    block, other = _conv_block(), _conv_block()
    first, second = BlockOptimizer(block, KINDS[kind]), BlockOptimizer(other, KINDS[kind])
    _steps(block, first, range(3))
    second.load_state(first.state())
    before = {name: tensor.clone() for name, tensor in first.state().items()}
    _steps(other, second, range(3, 5))
    assert same(list(before.values()), list(first.state().values()))


def test_the_state_is_flat_tensors():
    learner = make_learner(depth=1)
    trainer = LocalTrainer(learner, KINDS["adamw, averaged"])
    train(trainer, range(2))
    state = trainer.optimizers[0].state()
    assert all(isinstance(value, Tensor) for value in state.values())
    assert {"exp_avg.0", "exp_avg_sq.3", "step.1", "average.body.0.weight", "averaged_steps"} <= set(state)
    assert int(state["averaged_steps"]) == 2


def test_the_state_of_a_wider_block_is_refused():
    trainer = LocalTrainer(make_learner(), KINDS["adamw"])
    train(trainer, range(1))
    with pytest.raises(ValueError, match="does not fit this block"):
        trainer.optimizers[0].load_state(trainer.optimizers[1].state())


@pytest.mark.parametrize(("kind", "other"), [("sgd", "adamw"), ("adamw", "sgd")])
def test_the_state_of_another_kind_of_optimizer_is_refused(kind: str, other: str):
    trainer = LocalTrainer(make_learner(), KINDS[kind])
    train(trainer, range(1))
    foreign = LocalTrainer(make_learner(), KINDS[other])
    with pytest.raises(ValueError):
        foreign.optimizers[0].load_state(trainer.optimizers[0].state())


def test_a_block_without_parameters_has_nothing_to_optimize():
    optimizer = BlockOptimizer(LocalBlock(nn.Flatten()), TrainerSettings())
    optimizer.set_learning_rate(0.5)
    optimizer.step()
    assert optimizer.state() == {}


def test_frozen_parameters_are_not_trained():
    learner = make_learner(depth=1)
    linear(learner.blocks[0]).bias.requires_grad_(False)
    before = linear(learner.blocks[0]).bias.clone()
    train(LocalTrainer(learner, TrainerSettings(weight_decay=0.5)), range(3))
    assert torch.equal(linear(learner.blocks[0]).bias, before)


def test_set_learning_rate_scales_the_next_step():
    def moved(rate: float) -> Tensor:
        learner = make_learner(depth=1)
        before = linear(learner.blocks[0]).weight.clone()
        trainer = LocalTrainer(learner, TrainerSettings(optimizer="sgd", momentum=0.0, learning_rate=9.0))
        trainer.set_learning_rate(rate)
        train(trainer, range(1))
        return linear(learner.blocks[0]).weight - before

    torch.testing.assert_close(moved(0.2), 2 * moved(0.1), rtol=1e-4, atol=1e-7)
    assert not moved(0.0).any()


@pytest.mark.parametrize("limit", [0.01, 1e6])
def test_clipping_scales_the_gradient_of_a_block_down_to_the_limit(limit: float):
    def moved(clip_norm: float | None) -> Tensor:
        learner = make_learner(depth=1)
        before = torch.cat([p.flatten() for p in weights(learner)])
        settings = TrainerSettings(optimizer="sgd", momentum=0.0, learning_rate=1.0, clip_norm=clip_norm)
        train(LocalTrainer(learner, settings), range(1))
        return torch.cat([p.flatten() for p in weights(learner)]) - before

    free, clipped = moved(None), moved(limit)
    expected = free * min(1.0, limit / float(free.norm()))
    torch.testing.assert_close(clipped, expected, rtol=1e-3, atol=1e-7)


def test_averaged_weights_equal_a_loop_by_hand():
    learner = make_learner()
    trainer = LocalTrainer(learner, TrainerSettings(optimizer="sgd", learning_rate=0.2, ema_decay=0.7))
    expected: list[Tensor] = []
    for step in range(6):
        trainer.step(*batch(seed=step), step=step)
        now = weights(learner)
        expected = [0.7 * e + 0.3 * n for e, n in zip(expected, now, strict=True)] if expected else now
    own = weights(learner)
    with trainer.averaged():
        for parameter, value in zip(learner.parameters(), expected, strict=True):
            torch.testing.assert_close(parameter.detach(), value, rtol=1e-5, atol=1e-6)
    assert same(weights(learner), own)


def test_averaged_restores_bit_for_bit_after_an_exception():
    learner = make_learner()
    trainer = LocalTrainer(learner, TrainerSettings(learning_rate=0.1, ema_decay=0.9))
    train(trainer, range(3))
    own = weights(learner)
    with pytest.raises(KeyError), trainer.averaged():
        assert not same(weights(learner), own)
        raise KeyError
    assert same(weights(learner), own)


def test_without_averaging_averaged_changes_nothing():
    learner = make_learner()
    trainer = LocalTrainer(learner, TrainerSettings())
    own = weights(learner)
    with trainer.averaged():
        assert same(weights(learner), own)


def test_adopting_the_average_makes_it_the_learners_own():
    learner = make_learner()
    trainer = LocalTrainer(learner, TrainerSettings(learning_rate=0.1, ema_decay=0.9))
    train(trainer, range(3))
    with trainer.averaged():
        average = weights(learner)
    trainer.adopt_average()
    assert same(weights(learner), average)


@pytest.mark.parametrize("kind", ["sgd without momentum", "adam", "adamw"])
def test_a_block_may_learn_at_a_share_of_the_rate(kind: str):
    settings = replace(KINDS[kind], weight_decay=0.0)
    moved = []
    for share, rate in ((1.0, settings.learning_rate), (0.25, settings.learning_rate)):
        block = _conv_block()
        block.rate_share = share
        before = [value.clone() for value in weights(block)]
        optimizer = BlockOptimizer(block, replace(settings, learning_rate=7.0))
        optimizer.set_learning_rate(rate)  # the schedule keeps the share
        _steps(block, optimizer, range(1))
        moved.append([new - old for new, old in zip(weights(block), before, strict=True)])
    for whole, quarter in zip(*moved, strict=True):
        torch.testing.assert_close(quarter, whole / 4, rtol=1e-3, atol=1e-6)


def test_under_muon_the_share_is_of_both_rates():
    block = _conv_block()
    block.rate_share = 0.5
    settings = TrainerSettings(optimizer="muon", learning_rate=0.2, adamw_lr_scale=0.1)
    rates = [part.optimizer.param_groups[0]["lr"] for part in BlockOptimizer(block, settings).parts]
    assert rates == pytest.approx([0.1, 0.01])


def test_the_head_of_cwcomp_has_a_learning_rate_of_its_own():
    for share in (1.0, 0.1):
        learner = CwComp(head_rate_share=share)(CFSE(width=1)((1, 8, 8), 3), 3)
        trainer = LocalTrainer(learner, TrainerSettings(optimizer="adam", learning_rate=0.5))
        trainer.set_learning_rate(0.01)
        rates = [optimizer.parts[0].optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers]
        assert rates == pytest.approx([*[0.01] * (len(rates) - 1), 0.01 * share])


@pytest.mark.parametrize("rate", [-1.0, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(rate: float):
    optimizer = BlockOptimizer(LocalBlock(nn.Linear(2, 2)), TrainerSettings())
    with pytest.raises(ValueError, match=r"the learning rate is .*: give a number of 0 or more"):
        optimizer.set_learning_rate(rate)
    optimizer.set_learning_rate(0.0)
