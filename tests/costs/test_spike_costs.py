"""Spikes and their energy: counted by hand on small layers, on a network, and nothing where nothing spikes."""

import pytest
import torch
from torch import nn

from onward.algorithms import FFGAFSNN, DeeperForward
from onward.core import Learner, LocalBlock, each
from onward.costs.spikes import spike_costs, summary
from onward.nets import MonoCNN, TinyCNN
from onward.nets.net import Carry
from onward.parts.body.spiking import Coding, OfPotential, SpikesOnly, SpikingLayer, encode, spike_rates
from onward.parts.goodness.linear import LinearHead
from onward.parts.handoff.norms import Handoff
from onward.parts.inference.scores import LastGoodness
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.supervision.labels import LabelInLoss


def _two_layers(steps: int, first: Coding = "rate") -> Learner:
    def block(inputs: int, outputs: int, coding) -> LocalBlock:
        layer = SpikingLayer(nn.Linear(inputs, outputs), steps=steps, leak=0.9, threshold=0.3, coding=coding)
        head = OfPotential(LinearHead(3, outputs))
        return LocalBlock(layer, goodness=head, objective=CrossEntropy(), handoff=Handoff(SpikesOnly(), Carry()))

    blocks = [block(6, 5, first), block(5, 4, None)]
    return Learner(blocks, supervision=LabelInLoss(), spans=each(2), rules={"last": LastGoodness()}).eval()


def test_spikes_and_additions_are_counted_by_hand():
    torch.manual_seed(0)
    learner, images = _two_layers(steps=4), torch.rand(3, 6)
    first, second = spike_costs(learner, images)
    entering = sum(float(value > 0) for value in encode(images, 4, "rate").flatten()) / 3
    with torch.no_grad():
        spikes = [activity[:, 1:] for _, activity, _ in learner.run_blocks((images,))]
    given = [sum(float(value) for value in layer.flatten()) / 3 for layer in spikes]
    assert (first.neurons, second.neurons) == (5, 4)
    assert (first.macs, second.macs) == (30, 20)
    assert first.entering == pytest.approx(entering) and second.entering == pytest.approx(given[0])
    assert [first.spikes, second.spikes] == pytest.approx(given)
    assert first.additions == pytest.approx(5 * entering)  # an input spike reaches all five neurons
    assert second.additions == pytest.approx(4 * given[0])
    assert first.joules == pytest.approx(0.9e-12 * first.additions)
    assert first.dense_joules == pytest.approx(4.6e-12 * 30)


def test_a_current_costs_multiply_adds_once():
    torch.manual_seed(0)
    learner, images = _two_layers(steps=4, first="current"), torch.rand(3, 6)
    first, second = spike_costs(learner, images)
    assert (first.entering, first.additions, first.multiply_adds) == (0, 0, 30)
    assert first.joules == first.dense_joules == pytest.approx(4.6e-12 * 30)
    assert second.multiply_adds == 0 and second.entering == pytest.approx(first.spikes)


def test_a_network_has_the_rates_that_are_known_and_a_sum():
    torch.manual_seed(0)
    learner, images = FFGAFSNN(steps=4)(MonoCNN(width=4)((1, 8, 8), 4), 4).eval(), torch.rand(5, 1, 8, 8)
    costs = spike_costs(learner, images)
    for cost, rate in zip(costs, spike_rates(learner, images), strict=True):
        assert cost.spikes_per_neuron == pytest.approx(4 * rate, rel=1e-5)
    assert costs[1].macs == 8 * 4 * 9 * 4 * 4  # outputs, inputs, kernel, places
    whole = summary(costs)
    assert whole is not None
    assert whole.joules == pytest.approx(sum(cost.joules for cost in costs))
    assert 0 < whole.spikes_per_neuron < 4


def test_what_does_not_spike_has_no_such_cost():
    learner = DeeperForward()(TinyCNN(width=4, dropout=0.0)((1, 8, 8), 4), 4).eval()
    assert spike_costs(learner, torch.rand(2, 1, 8, 8)) == []
    assert summary([]) is None
