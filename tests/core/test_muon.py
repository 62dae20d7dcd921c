"""Muon: its update against singular values, its state, and what it refuses."""

import pytest
import torch
from torch import nn

from onward.core import BlockOptimizer, LocalBlock, TrainerSettings
from onward.core.muon import Muon, orthogonalized
from onward.parts.goodness.means import ClassMean
from onward.parts.objective.class_scores import CrossEntropy


@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (8, 8)])
def test_orthogonalized_keeps_singular_vectors_and_brings_values_near_one(shape):
    matrix = torch.randn(shape, dtype=torch.float64)
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    rotated = left.T @ orthogonalized(matrix, 6) @ right.T  # diagonal if the singular vectors were kept
    assert (rotated - rotated.diag().diag()).abs().max() < 0.05
    assert rotated.diag().min() > 0.6 and rotated.diag().max() < 1.3
    assert values.max() / values.min() > rotated.diag().max() / rotated.diag().min()


def test_one_iteration_is_the_quintic_of_each_singular_value():
    matrix = torch.randn(4, 7, dtype=torch.float64)
    left, values, right = torch.linalg.svd(matrix / matrix.norm(), full_matrices=False)
    expected = left @ torch.diag(3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5) @ right
    torch.testing.assert_close(orthogonalized(matrix, 1), expected, atol=2e-2, rtol=0)


def test_two_steps_follow_the_written_rule():
    weight = nn.Parameter(torch.randn(3, 2, 2, 2).to(memory_format=torch.channels_last))
    expected, momentum = weight.detach().clone(), torch.zeros(3, 2, 2, 2)
    optimizer = Muon([weight], lr=0.1, momentum=0.5, steps=2)
    for _ in range(2):
        gradient = torch.randn(3, 2, 2, 2)
        weight.grad = gradient.to(memory_format=torch.channels_last)
        optimizer.step()
        momentum = 0.5 * momentum + gradient
        move = orthogonalized((gradient + 0.5 * momentum).reshape(3, 8), 2).reshape(3, 2, 2, 2)
        expected = expected * 3**0.5 / expected.norm() - 0.1 * move
    torch.testing.assert_close(weight.detach(), expected)


def test_a_vector_is_refused():
    with pytest.raises(ValueError, match=r"shape \(3,\) is not a matrix"):
        Muon([nn.Parameter(torch.zeros(3))], lr=0.1)


def block() -> LocalBlock:
    body = nn.Sequential(nn.Linear(5, 6, bias=False), nn.BatchNorm1d(6), nn.ReLU())
    return LocalBlock(body, goodness=ClassMean(3, 6), objective=CrossEntropy())


def train(block: LocalBlock, optimizer: BlockOptimizer, steps: range) -> None:
    for step in steps:
        x = torch.randn(4, 5, generator=torch.Generator().manual_seed(step))
        block.body(x).square().sum().backward()
        optimizer.step()


def test_a_block_gives_its_matrices_to_muon_and_the_rest_to_adamw():
    settings = TrainerSettings(optimizer="muon", learning_rate=0.5, adamw_lr_scale=0.1)
    own = block()
    optimizer = BlockOptimizer(own, settings)
    muon, adamw = optimizer.parts
    assert isinstance(muon.optimizer, Muon) and [tuple(p.shape) for p in muon.parameters] == [(6, 5)]
    assert isinstance(adamw.optimizer, torch.optim.AdamW) and len(adamw.parameters) == 2
    optimizer.set_learning_rate(0.3)
    assert muon.optimizer.param_groups[0]["lr"] == 0.3
    assert adamw.optimizer.param_groups[0]["lr"] == pytest.approx(0.03)


def test_a_restored_optimizer_goes_on_bit_for_bit():
    settings = TrainerSettings(optimizer="muon", learning_rate=0.1)
    torch.manual_seed(1)
    straight = block()
    optimizer = BlockOptimizer(straight, settings)
    train(straight, optimizer, range(3))
    weights, state = {k: v.clone() for k, v in straight.state_dict().items()}, optimizer.state()
    state = {k: v.clone() for k, v in state.items()}
    train(straight, optimizer, range(3, 6))
    resumed = block()
    resumed.load_state_dict(weights)
    again = BlockOptimizer(resumed, settings)
    again.load_state(state)
    train(resumed, again, range(3, 6))
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in straight.state_dict().items())
    assert {name.split(".")[0] for name in state} == {"momentum_buffer", "step", "exp_avg", "exp_avg_sq"}


def test_the_state_of_another_optimizer_is_refused():
    adamw = BlockOptimizer(one := block(), TrainerSettings())
    train(one, adamw, range(1))
    muon = BlockOptimizer(block(), TrainerSettings(optimizer="muon"))
    with pytest.raises(ValueError, match="optimizer state 0 does not fit this block"):
        muon.load_state(adamw.state())
