"""Weights in bf16: rounding, memory, small updates that are not lost, and what is put back."""

import math

import pytest
import torch
from hardware_toys import batch, make_learner, same, train, weights
from hypothesis import given
from hypothesis import strategies as st

from onward.core import LocalTrainer, TrainerSettings
from onward.hardware import bf16_weights
from onward.hardware.bf16 import round_to_bf16

matrices = [name for name, p in make_learner().named_parameters() if p.ndim >= 2 and ".body." in name]


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(st.floats(-(2.0**100), 2.0**100, width=32))
def test_rounding_takes_a_neighbor_and_keeps_the_mean(value: float):
    x = torch.full((4000,), value)
    rounded = round_to_bf16(x, _generator()).double()
    neighbors = rounded.unique()
    assert len(neighbors) <= 2
    gap = 2.0 ** (math.frexp(value)[1] - 8) if value else 0.0
    assert ((neighbors - x[0].double()).abs() <= gap).all()
    assert rounded.mean().item() == pytest.approx(x[0].item(), abs=gap * 2.5 / math.sqrt(4000))


def test_what_bf16_can_hold_is_kept_and_what_is_not_finite_as_well():
    x = torch.randn(1000, generator=_generator()).bfloat16().float()
    x[:3] = torch.tensor([math.inf, -math.inf, 0.0])
    assert torch.equal(round_to_bf16(x, _generator()).float(), x)
    assert round_to_bf16(torch.tensor([math.nan]), _generator()).isnan().all()


@pytest.mark.parametrize("rounding", ["stochastic", "kahan"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_weights_are_bf16_inside_and_fp32_outside(rounding, optimizer):
    learner = make_learner()
    held = list(learner.parameters())
    with bf16_weights(learner, rounding=rounding):
        losses = train(learner, range(3), precision="bf16", optimizer=optimizer)
        inside = dict(learner.named_parameters())
        assert {name for name, p in inside.items() if p.dtype == torch.bfloat16} == set(matrices)
        learned = [p.detach().clone() for p in learner.parameters()]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            learner.predict(batch()[0])
    assert all(loss.isfinite().all() for loss in losses)
    assert all(p.dtype == torch.float32 for p in learner.parameters())
    assert all(a is b for a, b in zip(learner.parameters(), held, strict=True))
    assert same([w.float() for w in learned], weights(learner))


@pytest.mark.parametrize("rounding", ["stochastic", "kahan"])
def test_many_small_updates_add_up(rounding):
    """Each is a tenth of what bf16 resolves: rounded to the nearest, the weight would never move."""
    learner = make_learner()
    parameter = dict(learner.named_parameters())[matrices[1]]
    with torch.no_grad():
        parameter.fill_(1.0)
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    with bf16_weights(learner, rounding=rounding):
        for _ in range(200):
            parameter.grad = torch.full_like(parameter, -(2.0**-7) / 10)
            optimizer.step()
        assert parameter.mean().item() == pytest.approx(1 + 200 * 2.0**-7 / 10, rel=0.02)
    plain = torch.ones(1, dtype=torch.bfloat16)
    for _ in range(200):
        plain += 2.0**-7 / 10
    assert plain.item() == 1.0


def test_one_seed_is_one_rounding():
    results = []
    for seed in (1, 1, 2):
        learner = make_learner()
        with bf16_weights(learner, seed=seed):
            train(learner, range(2), precision="bf16")
        results.append(weights(learner))
    assert same(results[0], results[1])
    assert not same(results[0], results[2])


def test_the_dtype_is_back_after_an_exception():
    learner = make_learner()
    with pytest.raises(KeyboardInterrupt), bf16_weights(learner):
        raise KeyboardInterrupt
    assert all(p.dtype == torch.float32 for p in learner.parameters())
    before = weights(learner)
    trainer = LocalTrainer(learner, TrainerSettings())
    trainer.step(*batch(), step=0)
    assert not same(weights(learner), before)


def test_bad_input_is_refused():
    message = "rounding must be stochastic or kahan, got 'nearest'"
    with pytest.raises(ValueError, match=message), bf16_weights(make_learner(), rounding="nearest"):
        pass
    message = r"is torch\.float64; bf16_weights starts from fp32"
    with pytest.raises(ValueError, match=message), bf16_weights(make_learner().double()):
        pass
