"""Two thresholds and cross-entropy at a temperature: against loops, and their gradients."""

import math

import pytest
import torch

from onward.core import Target
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.objective.two_thresholds import TwoThresholds

TARGET = Target(torch.zeros(6, dtype=torch.int64), torch.tensor([1, 1, 1, -1, -1, -1]), 2)


def test_two_thresholds_equal_a_loop():
    scores = torch.rand(6, dtype=torch.float64)
    found = TwoThresholds(0.7, 0.2, 3.0, 0.1)(scores, TARGET)
    for b in range(6):
        g = float(scores[b])
        expected = math.log(1 + math.exp(3 * (0.7 - g))) + 0.1 * g if b < 3 else math.log(1 + math.exp(3 * (g - 0.2)))
        assert float(found[b]) == pytest.approx(expected, abs=1e-12)


def test_cross_entropy_at_a_temperature_equals_a_loop():
    scores, labels = torch.rand(3, 4, dtype=torch.float64), [2, 0, 3]
    found = CrossEntropy(temperature=0.2)(scores, Target(torch.tensor(labels)))
    for b, label in enumerate(labels):
        total = sum(math.exp(float(scores[b, c]) / 0.2) for c in range(4))
        assert float(found[b]) == pytest.approx(math.log(total) - float(scores[b, label]) / 0.2)


def test_the_control_of_scores_at_a_temperature_has_none():
    assert CrossEntropy(0.1, temperature=0.2).cross_entropy() == CrossEntropy(0.1)


def test_the_gradients_are_right():
    scores = torch.rand(6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: TwoThresholds(0.7, 0.2, 3.0, 0.1)(s, TARGET), scores)
    classes = torch.rand(6, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: CrossEntropy(temperature=0.2)(s, Target(torch.arange(6) % 3)), classes)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("inf")])
def test_an_impossible_temperature_is_refused(temperature: float):
    with pytest.raises(ValueError, match=rf"temperature of \w+ must be a finite number > 0, got {temperature}"):
        CrossEntropy(temperature=temperature)
