"""Spiking layers: neurons against a reference step by step, the code of images, and the exact gradient."""

import pytest
import torch
from torch import nn

from onward.algorithms import FFGAFSNN, Backprop
from onward.core import LocalTrainer, Target, TrainerSettings
from onward.nets import TinyCNN, Trifecta6
from onward.nets.residual import Append, Fork
from onward.parts.body.spiking import (
    ClassDifficulty,
    EachStep,
    OfPotential,
    SpikesOnly,
    SpikingLayer,
    encode,
    integrate_and_fire,
    spike_rates,
    trace_weights,
)
from onward.parts.goodness.linear import LinearHead


@pytest.mark.parametrize("leak", [0.0, 0.7, 1.0])
def test_neurons_equal_a_reference_step_by_step(leak: float):
    current = 2 * torch.rand(3, 9, 4, dtype=torch.float64) - 0.5
    found = integrate_and_fire(current, leak, 1.0)
    for b in range(3):
        for d in range(4):
            v = 0.0
            for t in range(9):
                v = leak * v + float(current[b, t, d])
                spike = v >= 1.0
                v -= 1.0 if spike else 0.0
                assert found[b, t, d] == spike


def test_rate_code_spikes_as_often_as_a_pixel_is_bright():
    x = torch.tensor([[0.0, 0.25, 0.5, 0.87, 1.0]])
    train = encode(x, 8, "rate")
    assert train.shape == (1, 8, 5) and set(train.unique().tolist()) == {0.0, 1.0}
    for t in range(1, 9):
        assert train[0, :t].sum(dim=0).tolist() == [int(t * p + 0.5) for p in x[0].double().tolist()]


def test_latency_code_spikes_once_and_earlier_for_brighter_pixels():
    train = encode(torch.tensor([[0.0, 0.2, 0.5, 1.0]]), 5, "latency")
    assert train.sum(dim=1).tolist() == [[0.0, 1.0, 1.0, 1.0]]
    assert train[0, :, 1:].argmax(dim=0).tolist() == [3, 2, 0]


def test_a_current_is_the_image_at_every_step():
    x = torch.tensor([[0.0, 0.2, 0.5, 1.5]])
    assert encode(x, 3, "current").tolist() == x.clamp(0, 1)[:, None].expand(1, 3, 4).tolist()


def test_a_layer_that_a_current_enters_equals_one_that_is_given_it_as_a_train():
    body, x = nn.Linear(5, 3).double(), torch.rand(2, 5, dtype=torch.float64)
    first, later = (SpikingLayer(body, steps=4, leak=0.9, threshold=0.7, coding=how) for how in ("current", None))
    train = x[:, None].expand(2, 4, 5)
    torch.testing.assert_close(first(x), later(train))
    found = [torch.autograd.grad(layer(of)[:, 0].sum(), body.weight)[0] for layer, of in ((first, x), (later, train))]
    torch.testing.assert_close(*found)
    assert found[0].any() and first(x)[:, 1:].any()


def test_trace_weights_give_the_mean_potential_without_threshold():
    x, total = torch.rand(6, dtype=torch.float64), 0.0
    v = 0.0
    for t in range(6):
        v = 0.8 * v + float(x[t])
        total += v
    scale = sum(sum(0.8**d for d in range(6 - t)) for t in range(6))
    found = sum(w * float(x[t]) for t, w in enumerate(trace_weights(6, 0.8)))
    assert found == pytest.approx(total / scale)
    assert sum(trace_weights(6, 0.8)) == pytest.approx(1)


def test_a_layer_equals_a_walk_through_time():
    layer = SpikingLayer(nn.Linear(5, 3), steps=4, leak=0.9, threshold=0.7).double()
    train = torch.randint(0, 2, (2, 4, 5)).double()
    found = layer(train)
    assert found.shape == (2, 5, 3)
    for b in range(2):
        trace = sum(w * train[b, t] for t, w in enumerate(trace_weights(4, 0.9)))
        assert isinstance(trace, torch.Tensor)
        gain = (trace.square().mean() + 1e-8).rsqrt()
        torch.testing.assert_close(found[b, 0], layer.body(trace * gain).relu(), rtol=1e-6, atol=1e-7)
        v = torch.zeros(3, dtype=torch.float64)
        for t in range(4):
            v = 0.9 * v + layer.body(train[b, t] * gain).detach()
            spikes = (v >= 0.7).double()
            v = v - 0.7 * spikes
            assert torch.equal(found[b, 1 + t].detach(), spikes)


def test_its_gradient_is_exact_and_spikes_have_none():
    layer = SpikingLayer(nn.Linear(4, 3), steps=3, leak=0.9, threshold=0.5).double()
    train = torch.randint(0, 2, (2, 3, 4)).double()

    def potential(weight):
        return torch.func.functional_call(layer, {"body.weight": weight}, train)[:, 0]

    assert torch.autograd.gradcheck(potential, layer.body.get_parameter("weight"))
    (gradient,) = torch.autograd.grad(layer(train)[:, 1:].sum(), layer.body.get_parameter("weight"), allow_unused=True)
    assert gradient is None or not gradient.any()


def test_a_goodness_reads_the_potential_and_a_handoff_the_spikes():
    activity = torch.rand(2, 4, 6, 4, 4)
    head = LinearHead(3, 6)
    assert torch.equal(OfPotential(head)(activity), head(activity[:, 0]))
    handed = SpikesOnly(nn.MaxPool2d(2))(activity)
    for t in range(3):
        assert torch.equal(handed[:, t], nn.functional.max_pool2d(activity[:, 1 + t], 2))


def test_hard_classes_score_less_in_training_alone():
    class Fixed(LinearHead):
        def forward(self, activity):
            return activity

    part = ClassDifficulty(Fixed(3, 3), 3, strength=2.0)
    scores = torch.tensor([[5.0, 1.0, 1.0], [5.0, 1.0, 1.0], [1.0, 5.0, 1.0], [1.0, 5.0, 1.0]])
    labels = torch.tensor([0, 1, 1, 1])
    part.train().update_statistics(scores, Target(labels))
    torch.testing.assert_close(part.errors, torch.tensor([0.0, 0.01 / 3, 0.0]))
    torch.testing.assert_close(part(scores), scores - 2 * part.errors)
    assert torch.equal(part.eval()(scores), scores)


def test_rates_and_control():
    images = torch.rand(6, 1, 8, 8)
    learner = FFGAFSNN()(TinyCNN(width=4, dropout=0.0)((1, 8, 8), 4), 4).eval()
    rates = spike_rates(learner, images)
    assert len(rates) == 4 and all(0 < rate < 1 for rate in rates)
    control = Backprop(of=FFGAFSNN())(TinyCNN(width=4, dropout=0.0)((1, 8, 8), 4), 4)
    assert not [m for m in control.modules() if isinstance(m, SpikingLayer)]
    losses = LocalTrainer(control, TrainerSettings()).step(images, torch.arange(6) % 4, step=0)
    assert losses.isfinite().all()


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="without batch norm"):
        FFGAFSNN()(Trifecta6(width=4)((1, 8, 8), 4), 4)
    with pytest.raises(ValueError, match=r"got 0, 0\.9, 1\.0"):
        SpikingLayer(nn.Linear(2, 2), steps=0, leak=0.9, threshold=1.0)


@pytest.mark.parametrize("join", [Fork(pool=True), Append()])
def test_skip_connections_of_spikes_are_joined_step_by_step(join: nn.Module):
    spikes, skip = torch.rand(2, 3, 4, 6, 6).round(), torch.rand(2, 3, 5, 6, 6).round()
    streams = (spikes,) if isinstance(join, Fork) else (spikes, skip)

    class Both(nn.Module):
        def forward(self, *stream: torch.Tensor) -> tuple[torch.Tensor, ...]:
            found = join(*stream)
            return found if isinstance(found, tuple) else (found,)

    found = EachStep(Both())(*streams)
    for step in range(3):
        wanted = Both()(*(tensor[:, step] for tensor in streams))
        assert all(torch.equal(tensor[:, step], want) for tensor, want in zip(found, wanted, strict=True))
