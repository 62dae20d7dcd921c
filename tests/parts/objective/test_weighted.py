"""A weight in front of an objective."""

import pytest
import torch

from onward.core import Target
from onward.parts.objective.class_scores import CrossEntropy
from onward.parts.objective.weighted import Weighted


@pytest.mark.parametrize("entropy", [CrossEntropy(), CrossEntropy(label_smoothing=0.1), CrossEntropy(temperature=0.3)])
def test_weighted_cross_entropy_is_that_many_times_it_bit_for_bit(entropy: CrossEntropy):
    scores, target = torch.randn(32, 7, requires_grad=True), Target(torch.randint(7, (32,)))
    terms = Weighted(entropy, 0.01)(scores, target)
    expected = 0.01 * entropy(scores, target)
    assert torch.equal(terms, expected)
    (own,), (plain,) = (torch.autograd.grad(value.mean(), scores) for value in (terms, expected))
    assert torch.equal(own, plain)
